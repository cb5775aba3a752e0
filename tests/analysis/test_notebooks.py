"""Every notebook runs from top to bottom on run folders, and is committed without outputs.

One kernel runs them all, one after another, each in a namespace of its own: to start one takes
longer than all cells together.
"""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.fixtures.here import search_here
from tests.fixtures.runs import make_run

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "analysis" / "notebooks").glob("*.ipynb"))
PICTURES = {
    "01_ranking": ["sharpe", "pruned", "curves", "equity", "parameters"],
    "02_pruning": ["pruned", "curves"],
    "03_importance": ["parameters"],
    "04_overfitting": ["curves", "curves", "sharpe"],
    "05_compare_runs": ["equity"],
    "06_use_the_winner": [],
}
SEARCHED = "06_use_the_winner"  # needs models; the others are shown a run that was made up

Outputs = Mapping[str, list[Any]]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outputs]:
    """What each cell of each notebook shows, by notebook and cell."""
    folder = tmp_path_factory.mktemp("notebooks")
    made = make_run(folder / "runs" / "demo")
    make_run(folder / "runs" / "other", seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = "space=quick_test", "data=synthetic", "data.synthetic.bars=1000", "name=searched"
        assert search_here(*words, "data.synthetic.symbols=6", "trials=3", "epochs=4") == 0
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        whole = nbformat.v4.new_notebook()
        read: dict[str, list[Any]] = {}
        for path in NOTEBOOKS:
            run = folder / "runs" / "searched" if path.stem == SEARCHED else made
            start = f"%reset -f\n%env ASHARPE_RUN={run}\n%env ASHARPE_OTHER={made.parent}/other"
            notebook: Any = nbformat.read(path, as_version=4)
            read[path.stem] = [cell for cell in notebook["cells"] if "outputs" in cell]
            whole["cells"] += [nbformat.v4.new_code_cell(start), *read[path.stem]]
        client = NotebookClient(
            whole, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        asyncio.run(client.async_execute())
    return {name: {cell["id"]: cell["outputs"] for cell in cells} for name, cells in read.items()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_shows_its_pictures_and_no_warning(
    path: Path, outputs: Mapping[str, Outputs]
) -> None:
    shown = [(cell, o) for cell, each in outputs[path.stem].items() for o in each]
    pictures = [cell for cell, o in shown if "image/png" in o.get("data", {})]
    assert pictures == PICTURES[path.stem]
    assert [o for _, o in shown if o.get("name") == "stderr"] == []


def said(outputs: Mapping[str, Outputs], name: str, cell: str) -> str:
    """What a cell printed, and the value that it shows."""
    return "".join(o.get("text") or o["data"]["text/plain"] for o in outputs[name][cell])


def test_the_ranking_begins_with_what_is_to_be_read_first(outputs: Mapping[str, Outputs]) -> None:
    text = said(outputs, "01_ranking", "load")
    assert "Luck alone is expected to bring the best of 24 tries to" in text


def test_the_other_notebooks_say_what_they_are_for(outputs: Mapping[str, Outputs]) -> None:
    assert "asha_rung" in said(outputs, "02_pruning", "spent")
    assert "24 configurations" in said(outputs, "03_importance", "load")
    assert "probability of backtest overfitting" in said(outputs, "04_overfitting", "luck")
    assert "trial" in said(outputs, "05_compare_runs", "load")


def test_the_winner_holds_as_much_as_it_sells(outputs: Mapping[str, Outputs]) -> None:
    text = said(outputs, "06_use_the_winner", "size")
    long, short = (float(part.split()[-1]) for part in text.split(","))
    assert long == pytest.approx(-short, abs=0.011)
    assert 0.1 < long <= 0.51  # members' positions cancel in part


def test_the_winner_predicts_as_in_the_search(outputs: Mapping[str, Outputs]) -> None:
    _, _, *lines = said(outputs, "06_use_the_winner", "stored").splitlines()  # names, then rows
    assert len(lines) >= 3
    assert all(float(line.split()[1]) < 1e-6 for line in lines)
