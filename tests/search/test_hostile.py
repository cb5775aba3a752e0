"""Files and words by somebody who means harm: nothing of theirs runs, and none leads astray."""

import ast
import gzip
import io
import json
import pickle
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console
from safetensors.torch import save as tensors_as_bytes

from analysis.load import load_run
from search.planning.plan import make_plan, read_enqueued
from search.planning.preview import show_plan
from search.run_folder import shards
from search.session import provenance, resume
from search.settings.reading import settings_from
from search.space.loading import load_space
from search.space.validation import fixed
from search.status import read_status
from search.study.study import SearchStudy
from tests.fixtures.runs import make_run
from tests.trainable.worker.test_checkpoint import state
from trainable import predict
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.data.ingest import table
from trainable.io.file_store import FileStore
from trainable.worker import checkpoint

ROOT = Path(__file__).parents[2]
PACKAGES = ("trainable", "search", "spaces", "analysis")
DEEP = "[" * 100_000 + "]" * 100_000


class Pickled:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, (f"open({str(self.mark)!r}, 'w').close()",)


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where something of theirs would leave its mark if it ran."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "it ran"


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text, text
    assert len(text) < 500, text
    return text


# Pickles. -----------------------------------------------------------------------------------------


def poisons(mark: Path) -> dict[str, bytes]:
    """Files that run what they hold, for a reader that unpickles."""
    evil = Pickled(mark)
    saved, arrays = io.BytesIO(), io.BytesIO()
    torch.save({"w": evil}, saved)
    np.savez(arrays, allow_pickle=True, w=np.array([evil], dtype=object))
    return {
        "pickle": pickle.dumps(evil),
        "torch.save": saved.getvalue(),
        "npz": arrays.getvalue(),
        "frame": pickle.dumps(pd.DataFrame({"timestamp": [evil]})),
    }


KINDS = ("pickle", "torch.save", "npz", "frame")
each_kind = pytest.mark.parametrize("kind", KINDS)


def test_what_is_poisoned_runs_where_it_is_unpickled(mark: Path) -> None:
    assert tuple(poisons(mark)) == KINDS
    pickle.loads(poisons(mark)["pickle"])  # noqa: S301
    assert mark.exists()


@each_kind
def test_a_pickle_in_the_place_of_a_checkpoint(
    mark: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = FileStore.of(Path("trial"))
    name = checkpoint.write(place, state(4))
    place.write(name, poisons(mark)[kind])
    assert checkpoint.read(place, known=9) is None
    assert capsys.readouterr().err.count("\n") == 1
    assert not mark.exists()


@each_kind
@pytest.mark.parametrize("name", [predict.MODEL, predict.CONFIG])
def test_a_pickle_in_the_place_of_a_model(mark: Path, kind: str, name: str) -> None:
    place = FileStore.of(Path("best"))
    place.write(predict.MODEL, tensors_as_bytes({"w": torch.zeros(2)}))
    place.write(predict.CONFIG, b"{}")
    place.write(name, poisons(mark)[kind])
    with pytest.raises(UserError, match="not of a trained model") as error:
        predict.load(Path("best"))
    one_line(error)
    assert not mark.exists()


@each_kind
@pytest.mark.parametrize("name", ["run.json", "trials.parquet", "epochs.parquet"])
def test_a_pickle_in_a_run_folder(mark: Path, kind: str, name: str) -> None:
    folder = make_run(Path("run"))
    (folder / name).write_bytes(poisons(mark)[kind])
    with pytest.raises(UserError) as error:
        assert load_run(folder).epochs is None
    assert name in one_line(error)
    assert not mark.exists()


@each_kind
@pytest.mark.parametrize("name", ["p.parquet", "p.csv", "p.csv.gz", "p.pkl", "p.npz", "p.pt"])
def test_a_pickle_as_data(mark: Path, kind: str, name: str) -> None:
    Path(name).write_bytes(poisons(mark)[kind])
    with pytest.raises(UserError) as error:
        make_plan(settings_from([f"data.path={name}", "space=quick_test"]))
    one_line(error)
    assert not mark.exists()


@each_kind
def test_a_pickle_as_study(mark: Path, kind: str) -> None:
    Path("study.log").write_bytes(poisons(mark)[kind])
    with pytest.raises(UserError) as error:
        SearchStudy.open(Path("study.log"), "a")
    one_line(error)
    assert not mark.exists()


def test_a_storage_whose_reader_unpickles_is_refused() -> None:
    with pytest.raises(UserError, match="cannot be opened") as error:
        SearchStudy.open("redis://127.0.0.1:1/0", "a")
    one_line(error)


# Archives, and sizes that are not true. -----------------------------------------------------------


@pytest.mark.parametrize("name", ["p.zip", "p.csv.zip", "p.tar.gz", "p.csv.xz", "p.7z"])
def test_archives_are_not_opened_at_all(mark: Path, name: str) -> None:
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p.csv", b"0" * 10**7)
        archive.writestr("../../p.csv", b"timestamp,close\n")
    with pytest.raises(UserError, match="unknown kind of file"):
        table.open_table(name)
    with pytest.raises(UserError, match="no run folder"):
        load_run(name)


def test_a_line_that_never_ends_is_read_no_further_than_a_block(mark: Path) -> None:
    with gzip.open("p.csv.gz", "wb", compresslevel=1) as file:
        file.write(b"timestamp,close\n2020-01-01,")
        for _ in range(64):
            file.write(b"1" * 2**20)
    assert Path("p.csv.gz").stat().st_size < 2**20
    with pytest.raises(UserError, match=r"p\.csv\.gz") as error:
        table.open_table("p.csv.gz")
    one_line(error)


def test_more_rows_than_memory_are_refused_before_they_are_read(
    mark: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pd.DataFrame({"timestamp": pd.date_range("2020", periods=5000), "close": 1.0})
    frame.to_parquet("p.parquet")
    folder = make_run(Path("run"))
    monkeypatch.setattr("os.sysconf", lambda name: 10)  # ten pages of ten bytes
    for read in (
        lambda: table.open_table("p.parquet"),
        lambda: load_run(folder),
        lambda: shards.read(folder / "epochs.parquet"),
    ):
        with pytest.raises(UserError, match="rows do not fit into") as error:
            read()
        one_line(error)


@pytest.mark.parametrize("size", [0, 2**20, 2**40, 2**63, 2**64 - 1])
def test_a_safetensors_file_with_a_huge_header(
    size: int, mark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = struct.pack("<Q", size) + b'{"w": 1}'
    place = FileStore.of(Path("trial"))
    name = checkpoint.write(place, state(4))
    place.write(name, content)
    assert checkpoint.read(place, known=9) is None
    assert "is damaged" in capsys.readouterr().err
    place.write(predict.MODEL, content)
    place.write(predict.CONFIG, b"{}")
    with pytest.raises(UserError, match="not of a trained model"):
        predict.load(Path("trial"))


def safetensors(header: object, data: bytes = b"") -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + data


WORD = {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}
HEADERS: dict[str, bytes] = {
    "deep": safetensors(DEEP),
    "deep metadata": safetensors({"__metadata__": {"asharpe": DEEP, "crc32": "00000000"}}),
    "huge tensor": safetensors({"w": {"dtype": "F32", "shape": [2**62], "data_offsets": [0, 4]}}),
    "overlapping": safetensors(
        {n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, b"0000"
    ),
    "no number of ours": safetensors(
        {"w": WORD, "__metadata__": {"asharpe": "{}", "crc32": "00000000"}}, b"0000"
    ),
    "a list": safetensors([]),
    "no metadata": safetensors({"w": WORD}, b"0000"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_checkpoint_whose_header_lies(
    name: str, mark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = FileStore.of(Path("trial"))
    place.write(checkpoint.write(place, state(4)), HEADERS[name])
    assert checkpoint.read(place, known=9) is None
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "dims", ["1000000-1000000", "9" * 30, "64-" * 300 + "8", "-8", "0", "${oc.env:HOME}", "../x"]
)
def test_a_model_that_claims_to_be_huge_takes_no_memory(mark: Path, dims: str) -> None:
    names = ["a", "b", "c"]
    scaler = {"names": names, "kind": "robust", "winsorise": 1.0}
    scaler |= {key: [1.0] * len(names) for key in ("low", "high", "centre", "scale")}
    config = {"params": {"model/hidden_dims": dims}, "scaler": scaler, "facts": {}}
    place = FileStore.of(Path("best"))
    place.write(predict.MODEL, tensors_as_bytes({"w": torch.zeros(2)}))
    place.write(predict.CONFIG, json.dumps(config).encode())
    with pytest.raises(UserError, match=r"not of a trained model|model/hidden_dims") as error:
        predict.load(Path("best"))
    one_line(error)


# JSON that is nested beyond what Python can follow. -----------------------------------------------


def test_json_nested_deeply_is_one_line_wherever_it_is_read(mark: Path) -> None:
    folder = make_run(Path("runs/a"))
    (folder / "run.json").write_text(DEEP)
    (folder / "study.log").write_text(DEEP + "\n")
    Path("c.json").write_text(DEEP)
    place = FileStore.of(Path("best"))
    place.write(predict.MODEL, tensors_as_bytes({"w": torch.zeros(2)}))
    place.write(predict.CONFIG, DEEP.encode())
    for read in (
        lambda: load_run(folder),
        lambda: read_status(folder),
        lambda: resume.with_stored(["name=a", "resume=true"]),
        lambda: provenance.sessions(folder),
        lambda: read_enqueued("c.json"),
        lambda: predict.load(Path("best")),
        lambda: SearchStudy.open(folder / "study.log", "a"),
    ):
        with pytest.raises(UserError) as error:
            read()
        one_line(error)


def test_json_is_parsed_in_one_place() -> None:
    """The others read what this very process, or one that it started, has written."""
    trusted = {"search/backend/local_ray.py", "search/study/trials.py", "search/study/journal.py"}
    found = {
        str(file.relative_to(ROOT))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if "json.load" in file.read_text(encoding="utf-8")
    }
    assert found <= {*trusted, "trainable/cli/json_text.py"}


# Names that lead elsewhere, and words that mean more than they say. -------------------------------

EVIL_NAMES = ("../x", "..", "/etc/x", "a/../../x", "a\\..\\x", "x\0y", "-rf", ".x", "a\nb")


@pytest.mark.parametrize("name", EVIL_NAMES)
def test_a_run_is_one_folder_name(mark: Path, name: str) -> None:
    for words in ([f"name={name}"], [f"name={name}", "resume=true"]):
        with pytest.raises(UserError, match="must be one folder name") as error:
            settings_from(resume.with_stored(words))
        one_line(error)


@pytest.mark.parametrize("space", ["../../x", "/etc/passwd", "spaces/conservative", "..", "a.py\0"])
def test_a_space_is_a_name_or_a_python_file(mark: Path, space: str) -> None:
    with pytest.raises(UserError, match="space") as error:
        load_space(space)
    one_line(error)


def test_a_trial_in_a_study_has_no_number_but_its_own(mark: Path) -> None:
    """Its number is the name of its folder."""
    study = SearchStudy.create(Path("study.log"), "a", 0)
    study.ask(lambda trial: {"optimizer/lr": 0.1})
    text = Path("study.log").read_text(encoding="utf-8")
    assert '"number":0' in text
    Path("study.log").write_text(text.replace('"number":0', '"number":"../../x"'))
    with pytest.raises(UserError, match=r"was not written by a search|or a damaged one") as error:
        SearchStudy.open(Path("study.log"), "a")
    one_line(error)


MEANING = (
    "${oc.env:HOME}",
    "${oc.decode:1}",
    "!!python/object/apply:os.getcwd []",
    "{a: 1}",
    "???",
)


@pytest.mark.parametrize("text", MEANING)
def test_words_are_taken_literally(mark: Path, text: str) -> None:
    settings = settings_from([f"name={text.replace('/', ' ')}", f"fix.model/hidden_dims={text}"])
    assert settings.name == text.replace("/", " ")
    assert settings.fix == {"model/hidden_dims": text}
    for key in ("trials", "time_budget_s", "resume", "rungs", "data.horizon"):
        with pytest.raises(UserError, match="expected") as error:
            settings_from([f"{key}={text}"])
        one_line(error)
    with pytest.raises(UserError, match=r"fix\.optimizer/lr=.*: expected a number") as error:
        fixed(lambda trial: {}, {"optimizer/lr": text})
    one_line(error)


def test_no_yaml_is_read() -> None:
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert "yaml" not in text.lower(), file


def market(symbol: str, column: str = "extra") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, 500)))
    dates = pd.bdate_range("2018-01-01", periods=500).astype(str)
    return pd.DataFrame(
        {"timestamp": dates, "symbol": symbol, "close": close, column: rng.normal(size=500)}
    )


@pytest.mark.parametrize("symbol", ["../../x", "/etc/passwd", "=1+1", "[/bold]", "[link=x]A", "$x"])
def test_symbols_and_columns_are_only_text(mark: Path, symbol: str) -> None:
    market(symbol, f"{symbol}!").to_csv("p [b].csv", index=False)
    before = set(mark.parent.rglob("*"))
    plan = make_plan(
        settings_from(
            ["data.path=p [b].csv", "space=quick_test", "steps_per_epoch=100", "name=[b]"]
        )
    )
    assert plan.dataset.symbols == (symbol,)
    out = io.StringIO()
    show_plan(plan, Console(file=out, width=300, highlight=False, markup=False))
    assert "p [b].csv: 1 symbol" in out.getvalue()
    new = set(mark.parent.rglob("*")) - before
    assert all("cache" in path.parts for path in new), new


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "a\x1b[2J", "a\x00b", "a\rb", "\x9b2J"])
@pytest.mark.parametrize("where", ["symbol", "column"])
def test_control_characters_reach_no_terminal(mark: Path, text: str, where: str) -> None:
    frame = market(text) if where == "symbol" else market("A", text)
    frame.to_parquet("p.parquet")
    with pytest.raises(UserError, match="control character") as error:
        make_plan(settings_from(["data.path=p.parquet", "space=quick_test"]))
    assert one_line(error).isprintable()


def test_an_error_is_one_printable_line_whatever_it_repeats(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> int:
        raise UserError("cell 'a\nb\x1b[2J' of “p”, 3 × µs")

    assert status_of(fail) == 2
    assert capsys.readouterr().err == "error: cell 'a\\nb\\x1b[2J' of “p”, 3 × µs\n"


def test_no_table_is_written_for_a_spreadsheet() -> None:
    """A cell such as =HYPERLINK(…) runs in one: whoever adds an export must see to that first."""
    writers = {"to_csv", "to_excel", "to_html", "write_csv", "DictWriter"}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
            if file.name == "command.py" and file.parent.name == "prediction":
                assert "_refuse_formulas(table)" in file.read_text(encoding="utf-8")
                continue
            shown_only = {"to_html"} if file.name == "notebook.py" else set()  # for a cell, escaped
            assert not names & (writers - shown_only), file


def test_what_is_read_from_a_file_is_never_run() -> None:
    """But a space and parts of the person's own, which they name."""
    runs = {"eval", "exec", "__import__", "compile"}
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
            found = {node.id for node in calls if isinstance(node, ast.Name)} & runs
            assert not found or file.name in ("loading.py", "modules.py"), (file, found)
            assert "shell=True" not in ast.unparse(tree), file


def test_python_is_new_enough_for_whole_numbers_of_any_length() -> None:
    """Digits by the million took minutes to read before 3.11."""
    assert sys.get_int_max_str_digits() > 0
    with pytest.raises(UserError, match="whole number"):
        settings_from([f"trials={'9' * 100_000}"])
