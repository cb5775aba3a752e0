"""`--json` of every command that prints figures: the document, and each figure worked out anew."""

import json
from collections.abc import Callable
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.load import load_run
from analysis.result import result_of
from analysis.verdict.figures import in_words
from search import confirm, placebo, status
from search.backend.local import Local
from search.settings.settings import SearchSettings
from tests.fixtures import tiny
from tests.fixtures.here import search_here
from tests.fixtures.script import asharpe
from trainable.cli.commands import status_of
from trainable.cli.text import signed
from trainable.config import to_params
from trainable.models.mlp import MlpConfig
from trainable.parts.tables import TABLES
from trainable.train import read_config

WORDS = tiny.WORDS | {"trials": "4", "epochs": "2", "finalist_seeds": "2", "pruning": "none"}
FEW = ("top=1", "seeds=1", "walk=2", "groups=0", "symbols=false", "workers=1")


def local(settings: SearchSettings) -> Local:
    return Local()


def answered(command: Callable[[], int], expected: int = 0) -> tuple[str, str]:
    """Returns what a command wrote on standard output and error."""
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        found = status_of(command)
    assert found == expected, err.getvalue()
    return out.getvalue(), err.getvalue()


def document(command: Callable[[], int]) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(answered(command)[0], parse_constant=refuse)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, str]:
    """A folder with a search that has ended; its document, and what it said beside."""
    home = tmp_path_factory.mktemp("json")
    tiny.write_inputs(home, tiny.bars(500))
    words = [f"{key}={text}" for key, text in WORDS.items()]
    with chdir(home):
        out, err = answered(lambda: search_here(*words, "--json"))
    return home, json.loads(out), err


@pytest.fixture
def home(made: tuple[Path, Any, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made[0])
    return made[0]


def annual(returns: np.ndarray) -> float:
    return float(returns.mean() / returns.std(ddof=1) * np.sqrt(252))


def test_a_search_ends_with_its_result(home: Path, made: tuple[Path, Any, str]) -> None:
    _, found, said = made
    trials = tiny.table(home / "runs/x", "trials")
    searched = trials[trials["kind"] == "search"]
    assert (found["run"], found["folder"], found["interrupted"]) == ("x", "runs/x", False)
    assert found["stop_reasons"] == searched["stop_reason"].value_counts().to_dict()
    assert found["best_model"] == "runs/x/best"
    winner = found["winner"]
    mine = trials[(trials["number"] == winner["number"]) | (trials["parent"] == winner["number"])]
    assert winner["sharpe_mean"] == pytest.approx(mine["sharpe"].mean())
    assert winner["sharpe_seeds"] == len(mine)
    assert found["ranking"][0] == winner
    assert [row["rank"] for row in found["ranking"]] == [*range(1, len(found["ranking"]) + 1)]
    together = found["all_finalists"]
    numbers = [number for seeds in together["members"].values() for number in seeds]
    series = [tiny.returns_of(home / "runs/x", number) for number in numbers]
    assert together["sharpe"] == pytest.approx(annual(np.mean(series, axis=0)))
    assert f"{signed(together['sharpe'])} ± {together['error']:.2f}" in " ".join(found["sentences"])
    assert found["verdict"]["sentence"] in found["sentences"]
    flat = " ".join(said.split())
    assert found["outcome"] in flat  # the screen, too, on standard error
    assert all(sentence in flat for sentence in found["sentences"])


def test_a_ranking_is_that_of_the_search(home: Path, made: tuple[Path, Any, str]) -> None:
    assert document(lambda: asharpe("rank", "runs/x", "--json")) == made[1]
    first = document(lambda: asharpe("rank", "runs/x", "--json", "top=1"))
    assert len(first["ranking"]) == len(first["robustness"]) == 1
    assert first["ranking"] == made[1]["ranking"][:1]


def test_statistics_are_those_of_the_screen(home: Path, made: tuple[Path, Any, str]) -> None:
    run, of = load_run("runs/x"), made[1]["statistics"]
    statistics = result_of(run).statistics
    assert statistics is not None
    words = dict(in_words(run, statistics))
    line = of["luck_line"]
    assert words["luck line"] == (
        f"{line['sharpe']:.2f} ({line['tries']} tries); {line['sharpe_of_independent_tries']:.2f} "
        f"(worth {line['independent_tries']:.0f} independent ones)"
    )
    chosen = of["cross_validated"]
    begin = f"{chosen['sharpe']:.2f} ± {chosen['error']:.2f}; by luck"
    assert words["cross-validated"].startswith(f"{begin} {chosen['sharpe_by_luck']:.2f} ")
    assert words["deflated Sharpe ratio"].startswith(f"{of['deflated_sharpe']:.2f} (trial ")
    assert f"from {of['provable_sharpe']:.2f} on" in words["provable"]
    assert (of["minimum_track_record_years"] is None) == ("minimum track record" not in words)
    assert of["years"] == pytest.approx(run.days / 252)
    assert f"against {of['beyond_baselines']['against']}" in words["beyond the baselines"]


def test_a_plan_is_a_document_and_leaves_nothing(home: Path) -> None:
    words = [f"{key}={text}" for key, text in (WORDS | {"name": "plan"}).items()]
    out, err = answered(lambda: search_here(*words, "dry_run=true", "--json"))
    plan = json.loads(out)
    assert not (home / "runs/plan").exists()
    assert (plan["run"], plan["trials"], plan["epochs"], plan["rungs"][-1]) == ("plan", 4, 2, 2)
    assert plan["tries"]["total"] == 8  # with those of the search on the same data
    assert f"8 useless trials on {plan['data']['validation_periods']}" in " ".join(err.split())
    assert f"would reach {plan['luck_line']:.2f}." in " ".join(err.split())
    expected = plan["expected"]
    assert f"{expected['epochs']:.0f} epochs, {expected['steps']:.0f} steps" in plan["lines"][-1]
    assert plan["facts"]["training"].startswith(plan["split"]["train"][0][:10])
    assert all(" ".join(text.split()) in " ".join(err.split()) for text in plan["lines"])


def test_how_a_search_stands(home: Path) -> None:
    found = document(lambda: asharpe("status", "runs/x", "--json", "top=2"))
    trials = tiny.table(home / "runs/x", "trials")
    assert (found["ended"], found["drivers"]) == (True, [])
    assert found["done"] == found["total"] == (trials["kind"] == "search").sum() == 4
    assert found["said"].endswith("Next: asharpe rank runs/x")
    assert len(found["leading"]) == 2
    own = answered(lambda: status.main(["runs/x", "--json"]))[0]
    assert json.loads(own)["said"].endswith("Next: python -m analysis.rank runs/x")


def test_data_that_are_checked(home: Path) -> None:
    out, err = answered(lambda: asharpe("check", "bars.csv", "data.horizon=2", "--json"))
    found = json.loads(out)
    assert err == ""
    assert found["symbols"] == [*tiny.SYMBOLS]
    assert (found["horizon"], found["lag"], found["periods_per_year"]) == (2, 0, 252)
    days = tiny.bars(500)["timestamp"].unique()
    parts = {row["part"]: row for row in found["split"]}
    assert [*parts] == ["train", "valid", "gate", "test"]
    assert parts["test"]["last"][:10] <= days[-1]
    for first, second in zip(parts.values(), [*parts.values()][1:], strict=False):
        assert first["last"] < second["first"]
    assert found["quality"]["rows"] == len(days) * len(tiny.SYMBOLS)
    assert "hint" in found["quality"]["features"]


def test_parts_that_there_are(home: Path) -> None:
    found = document(lambda: asharpe("parts", "--json"))
    assert {name: [*parts] for name, parts in found.items()} == {
        name: [*table.entries] for name, table in TABLES.items()
    }
    (dropout,) = [
        one for one in found["MODELS"]["mlp"]["settings"] if one["setting"] == "model/dropout"
    ]
    assert dropout["default"] == MlpConfig().dropout
    assert [*document(lambda: asharpe("parts", "losses", "--json"))] == ["LOSSES"]


def test_learning_rates(home: Path) -> None:
    words = ("data.path=bars.csv", "space=tiny.py", "rates=8", "steps=8", "--json")
    found = document(lambda: asharpe("lr", *words))
    rates = [row["rate"] for row in found["rates"]]
    assert rates == pytest.approx(np.geomspace(1e-6, 1, 8))
    for row in found["rates"]:
        assert (row["training_loss"] is None) == (row["failed"] is not None)
    assert Path(found["picture"]).is_file()


def test_one_configuration(home: Path) -> None:
    Path("one.json").write_text('{"model/hidden_dims": "4", "train/steps_per_epoch": 4}')
    words = ("one.json", "data.path=bars.csv", "epochs=2", "--json")
    found = document(lambda: asharpe("train", *words))
    assert [(row["epoch"], row["steps"]) for row in found["epochs"]] == [(1, 4), (2, 8)]
    assert found["stop"]["reason"] == "completed"
    assert to_params(read_config(Path("one.json")))["model/hidden_dims"] == "4"


def test_placebos(home: Path) -> None:
    words = ["runs/x", "placebos=1", "--json"]
    out, err = answered(lambda: placebo.main(words, local))
    found = json.loads(out)
    assert "Placebo 1 of 1: " in err
    (one,) = found["placebos"]
    reached = one["best"] is not None and one["best"] >= found["real"]["best"]
    assert found["p_of_winner"] == (1 + reached) / 2
    assert found["smallest_p"] == 0.5
    assert all(sentence in " ".join(err.split()) for sentence in found["sentences"])


def test_a_confirmation(home: Path) -> None:
    out, err = answered(lambda: confirm.main(["runs/x", *FEW, "--json"]))
    found = json.loads(out)
    flat = " ".join(err.split())
    sentences = [*found["sentences"], *found["gate_sentences"]]
    assert len(sentences) > 3
    assert all(" ".join(sentence.split()) in flat for sentence in sentences)
    (one,) = found["confirmation"]["finalists"]
    assert one["number"] == load_run("runs/x").run["best"]
    assert found["confirmation"]["seeds"] == 1
    gate = found["gate"]
    assert gate["turn"] == 1
    assert gate["p"] == pytest.approx(min(1.0, 1 / gate["highest"]))


@pytest.mark.parametrize(
    "words",
    [
        ("rank", "runs/y"), ("rank",), ("status", "runs/y"), ("check", "no.csv"), ("parts", "NO"),
        ("parts", "check", "tiny.py"), ("lr", "rates=1"), ("train", "no.json"),
        ("search", "trials=none"), ("search", "space=no"), ("placebo", "runs/y"), ("confirm",),
        ("confirm", "runs/y"),
    ],
)  # fmt: skip
def test_an_error_leaves_standard_output_empty(home: Path, words: tuple[str, ...]) -> None:
    out, err = answered(lambda: asharpe(*words, "--json"), expected=2)
    assert out == ""
    assert err.splitlines()[-1].startswith("error: ")
    assert err.count("\n") == (2 if "space=no" in words else 1)  # it had begun to read the space
    assert "--json" not in err or words[0] == "parts" or len(words) == 1
