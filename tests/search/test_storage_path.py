"""Checkpoints and models in an object store: whole searches, and what a wrong address says."""

import json
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest

from search.backend.workers import check_store_answers, store_answers
from search.run import main
from search.session.observer import SearchObserver
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import (
    LIGHT,
    MARKET,
    check_whole,
    contents,
    started,
    table,
    write_space,
)
from tests.fixtures.secrets import watched
from tests.fixtures.servers import ObjectStore, free_port, object_store
from trainable import predict
from trainable.cli.errors import UserError
from trainable.io.file_store import FileStore, GoneError

SLOW = (
    "steps_per_epoch=60", "epochs=6", "rungs=2,6", "finalist_seeds=1", "trials=6", "cohort=2",
    "checkpoint_steps=30", "dashboard=false", "report=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with object_store() as found, found.entered():
        yield found


@pytest.mark.timeout(900)  # two sessions
def test_a_search_is_interrupted_and_resumed_with_its_checkpoints_in_a_bucket(
    tmp_path: Path,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The keys of the bucket, in the environment of both, are written down nowhere."""
    write_space(tmp_path)
    where = f"storage_path={store.url('bucket/folder')}"
    folder = tmp_path / "runs" / "far"
    far = FileStore.of(store.url("bucket/folder")).within("far", "trials")
    monkeypatch.chdir(tmp_path)
    with patch.object(SearchObserver, "tick", interrupt_after(2)):
        assert search_here(*MARKET, *SLOW, "space=tiny.py", "name=far", where) == 130
    shown = capfd.readouterr()
    assert shown.err == ""
    assert store.secret not in shown.out
    trials = table(folder, "trials").set_index("number")
    running = [int(n) for n in trials.index[trials["state"] == "RUNNING"]]
    saved = [n for n in running if any("checkpoint" in name for name in far.within(n).names())]
    assert saved
    assert far.names() == []  # the mark is gone
    assert not list(folder.glob("trials/*/checkpoint*"))
    assert store.secret not in (folder / "run.json").read_text()

    env = {**os.environ, "PGPASSWORD": store.secret}
    with started(
        tmp_path, "name=far", "resume=true", *LIGHT, env=env
    ) as search:  # by Ray's workers
        tokens = watched(search, tmp_path, store.secret)
        assert search.process.returncode == 0, search.err + search.out
        assert {path.name for path in tokens} == {"token"}
        assert contents(search.tmp) == []
    rows = check_whole(folder, searched=6)
    assert set(rows["state"]) <= {"COMPLETE", "PRUNED"}
    for number in rows.loc[rows["state"] == "COMPLETE", "number"]:
        assert {predict.MODEL, predict.CONFIG} <= set(far.within(number).names())
    best = json.loads((folder / "run.json").read_text())["best"]
    model = folder / "best/members" / str(best) / predict.MODEL
    assert model.read_bytes() == far.within(best).read(predict.MODEL)
    assert predict.load(folder / "best").facts["number"] == best
    assert not list(folder.glob("trials/*/*.safetensors"))


def quick(tmp_path: Path) -> list[str]:
    """Returns a search that would be ready to begin."""
    steps = ("steps_per_epoch=20", "fix.schedule/warmup_steps=5")
    return [*MARKET, "space=quick_test", *steps, f"runs_dir={tmp_path}/runs", "name=x"]


def refused(tmp_path: Path, where: str, *more: str) -> str:
    """Returns the line that a search ends with; nothing is left of it, and it does not wait."""
    begun = time.monotonic()
    with pytest.raises(UserError) as caught:
        main([*quick(tmp_path), f"storage_path={where}", *more])
    assert time.monotonic() - begun < 30
    assert contents(tmp_path) == []
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.backend.local_ray.LocalRay.start", lambda self: None)


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("dry", ["dry_run=true", "dry_run=false"])
def test_a_wrong_bucket_secret_or_address_is_one_line(
    tmp_path: Path, store: ObjectStore, dry: str
) -> None:
    bucket = refused(tmp_path, store.url("none/f", create=False), dry)
    assert "Bucket 'none' not found" in bucket
    assert "allow_bucket_creation" in bucket
    with store.entered("s3cr3t"):
        assert "SIGNATURE_DOES_NOT_MATCH" in refused(tmp_path, store.url("b/f"), dry)
    nobody = ObjectStore(free_port(), store.key, store.secret)
    away = refused(tmp_path, nobody.url("b/f"), dry)
    assert "Could not connect" in away
    for said in (bucket, away):
        assert store.secret not in said
    assert "names no folder" in refused(tmp_path, "s3:///", dry)


def test_a_store_that_leads_nowhere_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address of TEST-NET-1, where nobody answers, not even to refuse."""
    monkeypatch.setattr("trainable.io.file_store.CONNECT_S", 0.5)
    url = "s3://KEY:SECRET@b/f?scheme=http&endpoint_override=192.0.2.77:80"
    begun = time.monotonic()
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        FileStore.of(url).with_few_tries().write("x", b"")
    assert time.monotonic() - begun < 10


def test_a_search_that_never_began_leaves_nothing_in_the_store(
    tmp_path: Path, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = [*quick(tmp_path), "dry_run=true"]
    assert main([*words, f"storage_path={store.url('dry/f')}"]) == 0
    assert FileStore.of(store.url("dry/f")).within("x").names() == []
    shared = tmp_path / "shared"
    shared.mkdir()
    assert main([*words, f"storage_path={shared}"]) == 0
    assert contents(tmp_path) == ["shared"]
    assert contents(shared) == []


def test_a_search_whose_store_goes_away_midway_goes_on_when_it_is_back(
    tmp_path: Path,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in (("CONNECT_S", 0.5), ("ANSWER_S", 1.0), ("TRIES", 2)):
        monkeypatch.setattr(f"trainable.io.file_store.{name}", value)
    write_space(tmp_path)
    folder = tmp_path / "runs" / "away"
    where = f"storage_path={store.url('bucket/away')}"
    words = [*MARKET, "space=tiny.py", "trials=5", "rungs=1,4", "finalist_seeds=1", "cohort=3"]
    with ExitStack() as away:

        def tick(self: SearchObserver) -> None:
            if len(list(folder.glob("shards/*.parquet"))) >= 2:
                away.enter_context(store.silent())
                monkeypatch.setattr(SearchObserver, "tick", lambda self: None)

        monkeypatch.setattr(SearchObserver, "tick", tick)
        assert search_here(*words, "checkpoint_steps=8", "name=away", "report=false", where) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1, said
    assert "storage_path does not answer" in said
    assert "what was reported is kept: go on with resume=true" in said
    assert store.secret not in said
    assert len(list(folder.glob("shards/*.parquet"))) >= 2
    assert search_here("name=away", "resume=true", where) == 0
    rows = check_whole(folder, searched=5)
    assert set(rows["state"]) <= {"COMPLETE", "PRUNED"}


def test_a_store_that_goes_away_ends_the_search_and_no_trial(store: ObjectStore) -> None:
    place = FileStore.of(
        ObjectStore(free_port(), store.key, store.secret).url("b/f")
    ).with_few_tries()
    uses = (lambda: place.write("a", b""), lambda: place.read("a"), place.names)
    for use in uses:
        with pytest.raises(GoneError) as caught:
            use()
        said = traceback.format_exception(caught.value)
        with pytest.raises(UserError, match=r"storage_path does not answer .*go on with resume"):
            check_store_answers("".join(said))
    check_store_answers("")
    check_store_answers("Traceback …\nOSError: [Errno 28] No space left on device\n")
    with pytest.raises(UserError, match="models cannot be read or written"), store_answers(place):
        place.names()


@pytest.mark.parametrize("there", ["", "new", "new/deep"])
@pytest.mark.parametrize("scheme", [False, True])
def test_a_dry_run_leaves_no_folder_that_it_made(
    there: str, scheme: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    before = sorted(tmp_path.rglob("*"))
    where = f"file://{tmp_path}/new/deep" if scheme else "new/deep"
    words = [*MARKET, *SLOW, "space=quick_test", "runs_dir=other/runs", "fix.train/batch_size=16"]
    assert search_here(*words, f"storage_path={where}", "dry_run=true") == 0
    assert sorted(tmp_path.rglob("*")) == before


def test_a_search_that_is_refused_after_its_folder_was_made_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*MARKET, *SLOW, "space=quick_test", "storage_path=new/deep", "name=x"]
    assert search_here(*words, "storage=sqlite:///nowhere/study.db") == 2
    assert list(tmp_path.iterdir()) == []
