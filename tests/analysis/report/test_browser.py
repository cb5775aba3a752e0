"""The report in a browser: without errors, in both colours, on a phone, and by keyboard."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analysis.report.page import write_report
from tests.fixtures.browser import Browser, browser, browser_path
from tests.fixtures.confirmations import add_confirmation, add_gate
from tests.fixtures.placebos import add_placebos
from tests.fixtures.reports import parquet
from tests.fixtures.runs import add_labels, add_record, make_run

pytestmark = pytest.mark.skipif(
    browser_path() is None, reason="there is no Chromium on this machine (apt install chromium)"
)
EVIL = "<script>window.taken = 1</script>"
PICTURE = "<img src=x onerror='window.taken = 1'>"
BOLD = "<b>bold</b>"
WIDE, NARROW = 1280, 400


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(tmp_path_factory.mktemp("runs") / "usual", trials=60, periods=300)
    add_labels(made, (BOLD, EVIL, PICTURE))
    trials = parquet(made / "trials.parquet")
    trials.loc[trials["params.model/hidden_dims"] == "64-32", "params.model/hidden_dims"] = PICTURE
    trials.to_parquet(made / "trials.parquet", index=False)
    data = {"name": EVIL, "symbols": ["S00", EVIL], "periods_per_year": 252.0, "cost_bps": 1.0}
    add_record(made, data=data, rungs=[2, 8, 32, 50])
    add_confirmation(made, top=5)
    add_gate(made)
    add_placebos(made, (0.2, 0.1), (None, None), (-0.4, -0.2))
    return write_report(made)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


def rows(tab: Browser) -> list[list[str]]:
    """The cells of the ranking that are shown."""
    return tab.evaluate(
        "[...document.querySelectorAll('#ranking tbody tr')]"
        ".map((row) => [...row.cells].map((cell) => cell.textContent))"
    )


def ground(tab: Browser) -> float:
    """How bright the page is at its edge, 0 to 255."""
    picture = Image.open(io.BytesIO(tab.picture())).convert("L")
    return float(np.asarray(picture)[:, :8].mean())


def test_every_plot_is_drawn_without_errors_or_requests(tab: Browser, page: Path) -> None:
    tab.asked.clear()
    tab.open(page, WIDE)
    plots = tab.evaluate("document.querySelectorAll('.plot').length")
    assert plots > 15
    assert tab.evaluate("document.querySelectorAll('.plot .main-svg').length") < plots, "lazily"
    tab.evaluate("document.getElementById('draw').click()")
    tab.wait("document.documentElement.dataset.drawn")
    drawn = tab.evaluate(
        "[...document.querySelectorAll('.plot')].map((plot) => [plot.id, plot.data.length,"
        " plot.querySelectorAll('.points path, .lines path, .js-line, .point, .bars').length])"
    )
    assert len(drawn) == plots
    assert [name for name, traces, marks in drawn if not (traces and marks)] == []
    assert tab.said == []
    assert [url for url in tab.asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert len([url for url in tab.asked if url.startswith("file:")]) == 1
    assert tab.evaluate("window.taken === undefined")
    labels = tab.evaluate(
        "[...document.querySelectorAll('#information text')].map((text) => text.textContent)"
    )
    assert {EVIL, PICTURE, BOLD} <= set(labels), "names are drawn as they are"
    assert PICTURE in {cell for row in rows(tab) for cell in row}


def test_plots_are_drawn_as_they_come_into_view(tab: Browser, page: Path) -> None:
    tab.open(page, WIDE)
    last = "document.querySelector('#compute .plot')"
    assert not tab.evaluate(f"Boolean({last}.dataset.drawn)")
    tab.evaluate(f"{last}.scrollIntoView()")
    tab.wait(f"{last}.dataset.drawn")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_page_fits_its_width_in_both_colours(
    tab: Browser, page: Path, width: int, dark: bool
) -> None:
    tab.open(page, width, dark=dark)
    tab.evaluate("document.getElementById('draw').click()")
    tab.wait("document.documentElement.dataset.drawn")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    beyond = tab.evaluate(
        "[...document.querySelectorAll('main *')].filter((element) =>"
        " !element.closest('.scroll, pre, .plot, .alt')"
        " && element.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML)"
    )
    assert beyond == []
    assert (ground(tab) < 60) == dark
    assert tab.evaluate(COLOURS) == [], "text that is hard to read"
    assert tab.said == []


# Texts whose contrast with the ground is below 4.5 to 1 (WCAG 2.1, 1.4.3).
COLOURS = """(() => {
  const light = (colour) => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map((v) => v / 255)
      .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const under = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(colour)) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll("p, h1, h2, h3, h4, li, td, th, a, button, summary, span,"
    + " strong, figcaption, caption, label, code")].filter((element) => {
    if (!element.textContent.trim() || element.closest("[hidden], .plot, .skip")) return false;
    const [a, b] = [light(getComputedStyle(element).color), light(under(element))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5;
  }).map((element) => element.tagName + " " + element.textContent.slice(0, 40));
})()"""


def test_button_changes_colours_and_plots_follow(tab: Browser, page: Path) -> None:
    tab.open(page, WIDE)
    first = "document.querySelector('.plot')"
    tab.evaluate(f"{first}.scrollIntoView()")
    tab.wait(f"{first}.dataset.drawn")
    before = tab.evaluate(f"{first}.layout.font.color")
    tab.evaluate("document.getElementById('theme').click()")
    tab.wait(f"{first}.layout.font.color !== '{before}'")
    assert ground(tab) < 60
    tab.evaluate("document.getElementById('theme').click()")
    tab.wait(f"{first}.layout.font.color === '{before}'")
    assert ground(tab) > 200


def test_ranking_is_sorted_and_filtered_by_keyboard(tab: Browser, page: Path) -> None:
    tab.open(page, WIDE)
    ranked = rows(tab)
    assert len(ranked) == 50, "the first of 60"
    assert [row[0] for row in ranked[:3]] == ["1", "2", "3"]
    header = "document.querySelectorAll('#ranking thead button')[3]"
    tab.evaluate(f"{header}.focus()")
    tab.key("Enter", "\r")
    sharpes = numbers(rows(tab), 3)
    assert sharpes == sorted(sharpes, reverse=True)
    assert tab.evaluate(f"{header}.parentElement.getAttribute('aria-sort')") == "descending"
    tab.key("Enter", "\r")
    sharpes = numbers(rows(tab), 3)
    assert sharpes == sorted(sharpes)
    more = "document.querySelector('#ranking .more')"
    tab.evaluate(f"{more}.click()")
    every = [row[3] for row in rows(tab)]
    assert len(every) == 60
    undefined = every.count("–")
    assert undefined > 0
    assert set(every[-undefined:]) == {"–"}, "what is undefined comes last either way"
    tab.evaluate("document.querySelector('#ranking input').focus()")
    tab.type("asha_rung sharpe>0 lr<5e-5")
    found = rows(tab)
    rate = tab.evaluate(
        "[...document.querySelectorAll('#ranking thead th')]"
        ".findIndex((head) => head.textContent.startsWith('optimizer/lr'))"
    )
    assert 0 < len(found) < 60
    assert {row[2] for row in found} == {"asha_rung"}
    assert all(value > 0 for value in numbers(found, 3))
    assert all(float(row[rate].replace("−", "-")) < 5e-5 for row in found)
    said = tab.evaluate("document.querySelector('#ranking [role=status]').textContent")
    assert said == f"{len(found)} of 60 configurations"
    tab.type(" nothing=like_it")
    assert rows(tab) == []


def numbers(cells: list[list[str]], column: int) -> list[float]:
    """The numbers of a column; those that are undefined are left out."""
    return [float(row[column].replace("−", "-")) for row in cells if row[column] != "–"]


def test_everything_is_reached_by_keyboard(tab: Browser, page: Path) -> None:
    tab.open(page, WIDE)
    tab.key("Tab")
    assert tab.evaluate("document.activeElement.textContent") == "To the content"
    tab.key("Enter", "\r")
    assert tab.evaluate("document.activeElement.id") == "main"
    unreachable: Any = tab.evaluate(
        "[...document.querySelectorAll('a, button, input, summary, .scroll, pre')]"
        ".filter((e) => !e.closest('[hidden]') && e.tabIndex < 0).map((e) => e.outerHTML)"
    )
    assert unreachable == []
    nameless = tab.evaluate(
        "[...document.querySelectorAll('button, input, .scroll')].filter((e) => "
        "!(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length))"
        ".map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_numbers_of_a_picture_are_a_table(tab: Browser, page: Path) -> None:
    tab.open(page, NARROW)
    tab.evaluate("document.querySelector('#compute .numbers summary').click()")
    tab.wait("document.querySelector('#compute .numbers table')")
    shown = tab.evaluate("document.querySelectorAll('#compute .numbers tbody tr').length")
    assert shown == tab.evaluate(
        "document.querySelector('#compute .numbers caption').textContent.split(' ')[0] * 1"
    )
    assert shown > 2
