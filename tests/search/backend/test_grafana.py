"""The dashboard file: it shows what the code exports, all of it, and stands where Ray looks."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from search.backend import grafana
from search.monitor.metrics import BY_REASON, COUNTERS, METRICS, RUN
from trainable.cli.errors import UserError

OURS = json.loads(grafana.DASHBOARD.read_text(encoding="utf-8"))
PANELS = OURS["panels"]
OF_RAY = {"ray_node_gpus_utilization", "ray_node_cpu_utilization"}


def queries() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_it_shows_every_metric_and_no_other() -> None:
    names = {name for query in queries() for name in re.findall(r"\b(ray_\w+)\{", query)}
    exported = {f"{name}_total" if name in COUNTERS else name for name in METRICS}
    assert names == {f"ray_{name}" for name in exported} | OF_RAY  # Ray adds its own name
    variables = [v["definition"] for v in OURS["templating"]["list"] if "definition" in v]
    asked = {name for text in variables for name in re.findall(r"\bray_(\w+)", text)}
    assert asked <= METRICS.keys()


def test_every_query_is_of_the_chosen_runs_and_session() -> None:
    variables = {v["name"]: v for v in OURS["templating"]["list"]}
    assert variables.keys() == {"datasource", "SessionName", RUN}  # as Ray's view passes them
    for query in queries():
        assert 'SessionName=~"$SessionName"' in query
        assert 'run=~"$run"' in query or any(name in query for name in OF_RAY)


def test_legends_name_tags_that_there_are() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            tags = {
                RUN,
                *(t for name, ts in BY_REASON.items() if name in target["expr"] for t in ts),
            }
            assert named <= tags | (
                {"instance", "GpuIndex"} if "ray_node" in target["expr"] else set()
            )


def test_panels_have_a_name_each_a_description_and_a_place() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"]["uid"] == "${datasource}"
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    """What Ray leaves at its start."""
    file = tmp_path / grafana.PLACE
    file.parent.mkdir(parents=True)
    file.write_text('{"uid": "rayDataDashboard", "panels": []}', encoding="utf-8")
    return tmp_path


def content(metrics: Path) -> dict[str, Any]:
    return json.loads((metrics / grafana.PLACE).read_text(encoding="utf-8"))


def test_it_takes_the_place_and_the_uid_of_rays_own(
    metrics: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert grafana.main([str(metrics)]) == 0
        assert content(metrics) == OURS | {"uid": "rayDataDashboard"}
    assert "tab Ray Data" in capsys.readouterr().out
    assert OURS["uid"] == "asharpe"  # where a person imports it


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected one folder; usage"),
        (["a", "b"], "expected one folder; usage"),
        (["nowhere"], "nowhere has no grafana/dashboards/data_grafana_dashboard.json"),
    ],
)
def test_bad_input_is_one_line(words: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        grafana.main(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_file_that_is_not_rays_is_left(metrics: Path, text: str) -> None:
    (metrics / grafana.PLACE).write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="cannot be replaced"):
        grafana.take_place(metrics)
    assert (metrics / grafana.PLACE).read_text(encoding="utf-8") == text
