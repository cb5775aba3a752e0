import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.load import load_run
from analysis.pictures.plot_style import REASONS, outcome, spread
from analysis.pictures.plots import PLOTS, equity_curves, sharpe_sorted
from tests.fixtures.runs import make_run
from trainable.stop_reasons import KEEPS_MODEL, NUMERIC_FAILURES

RUNS: dict[str, dict[str, Any]] = {
    "usual": {"trials": 24},
    "one_trial": {"trials": 1},
    "no_survivor": {"trials": 6, "survivors": False},
    "nothing": {"trials": 1, "survivors": False, "baselines": False},
    "interrupted": {"trials": 12, "interrupted": 6},
}


@pytest.fixture(scope="module", params=RUNS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / request.param, **RUNS[request.param])


@pytest.mark.parametrize("plot", PLOTS)
def test_every_picture_of_every_run_renders_900_pixels_wide(folder: Path, plot: str) -> None:
    figure = PLOTS[plot](load_run(folder))
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    assert picture.getvalue().startswith(b"\x89PNG")
    assert figure.get_figwidth() * figure.dpi == 900


def test_luck_line_and_baselines_are_named_in_the_picture(tmp_path: Path) -> None:
    axes = sharpe_sorted(load_run(make_run(tmp_path / "demo", trials=64))).axes[0]
    texts = {text.get_text() for text in axes.texts}
    luck = {"luck line 1.07", "luck line, 3 seeds 0.70"}
    assert texts == luck | {"equal_weight 0.94", "ridge 0.62", "momentum 0.31"}


def test_equity_is_drawn_at_ten_percent_volatility(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "demo", trials=24))
    axes = equity_curves(run).axes[0]
    for line in axes.lines[:-1]:
        daily = np.diff(np.asarray(line.get_ydata(), float))
        assert daily.std(ddof=1) * np.sqrt(252) == pytest.approx(10, rel=0.01)


def test_every_stop_reason_of_a_stopped_trial_has_its_own_colour() -> None:
    assert len(set(REASONS.values())) == len(REASONS)
    assert {outcome(reason) for reason in NUMERIC_FAILURES} == {"numeric failure"}
    assert {outcome(reason) for reason in KEEPS_MODEL} == {"finished"}
    assert outcome("interrupted") == "other"


@given(st.lists(st.floats(0, 1), max_size=12).map(sorted))
def test_labels_are_moved_apart_and_keep_their_order(heights: list[float]) -> None:
    moved = spread(heights, 0.05)
    assert all(b - a > 0.05 - 1e-9 for a, b in pairwise(moved))
    assert sum(moved) == pytest.approx(sum(heights))


def test_labels_far_apart_stay() -> None:
    assert spread([0.1, 0.5, 0.9], 0.05) == pytest.approx([0.1, 0.5, 0.9])
