"""What one worker trains: shapes side by side, newcomers at an epoch's end, checkpoints on time."""

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.step.__main__ import run_steps
from tests.fixtures.trainings import SMALL, config, narrow, starts, trained
from trainable.config import from_params
from trainable.io.file_store import FileStore
from trainable.report import Report
from trainable.training.loop import Training
from trainable.training.member import MemberStart
from trainable.worker import checkpoint, cohort
from trainable.worker.assignment import Assignment, Instructions
from trainable.worker.worker import Worker

LATER = time.monotonic() + 3600.0


def member(number: int, known: int = 0, **changes: Any) -> Assignment:
    params = SMALL | {key.replace("__", "/"): value for key, value in changes.items()}
    return Assignment(number, params | {"train/seed": number}, known)


def worker_of(folder: Path, rungs: tuple[int, ...] = (1, 3), most: int = 8) -> Worker:
    return Worker(narrow(), FileStore.of(folder), rungs, most=most)


def to_the_end(made: Worker) -> list[Report]:
    reports = []
    while made.live:
        reports += made.step(LATER)
    return reports


def losses(reports: list[Report], number: int) -> list[float | None]:
    return [report.values["val_loss"] for report in reports if report.number == number]


def test_who_joins_trains_as_if_alone_and_so_do_those_who_were_there(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    made.add([member(0, model__dropout=0.2), member(1)])
    reports = made.step(LATER)
    made.add([member(2, model__dropout=0.3), member(3, model__hidden_dims="6")])
    assert made.live == [0, 1, 2, 3]
    reports += to_the_end(made)
    for each in [member(0, model__dropout=0.2), member(2, model__dropout=0.3), member(1)]:
        _, alone = trained([from_params(each.params)], narrow())
        assert losses(reports, each.number) == losses(alone, 0)
    assert [len(losses(reports, number)) for number in range(4)] == [3, 3, 3, 3]


def test_one_step_is_one_epoch_of_the_fullest_cohort_and_small_ones_do_not_starve(
    tmp_path: Path,
) -> None:
    made = worker_of(tmp_path, rungs=(1, 2, 3, 4))
    made.add([member(n, train__epochs=4) for n in range(3)])
    made.add([member(9, model__hidden_dims="6", train__epochs=4)])
    turns = [{report.number for report in made.step(LATER)} for _ in range(8)]
    assert turns[:2] == [{0, 1, 2}, {0, 1, 2}]
    assert turns[2] == {9} or turns[3] == {9}
    assert turns.count({9}) == 4
    assert made.live == []


def test_a_step_returns_at_a_rung_and_not_before(tmp_path: Path) -> None:
    made = worker_of(tmp_path, rungs=(2, 3))
    made.add([member(0), member(1)])
    assert [(r.number, r.epoch) for r in made.step(LATER)] == [(0, 1), (1, 1), (0, 2), (1, 2)]


def test_a_begun_epoch_goes_on_before_anything_else(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    made.add([member(0)])
    assert made.step(time.monotonic()) == []  # amid the first epoch
    made.add([member(1), *(member(n, model__hidden_dims="6") for n in range(2, 7))])
    assert {report.number for report in made.step(LATER)} == {0}
    assert {report.number for report in made.step(LATER)} == set(range(2, 7))


def test_cohorts_are_as_large_as_calibration_says(tmp_path: Path) -> None:
    files = FileStore.of(tmp_path)
    made = Worker(narrow(), files, (1, 3), cohort_size=lambda config, windows, device, most: 3)
    made.add([member(n) for n in range(4)])
    assert [cohort.training.live for cohort in made.cohorts] == [[0, 2], [1, 3]]
    made.add([member(n) for n in range(4, 9)])
    assert sorted(cohort.size for cohort in made.cohorts) == [3, 3, 3]
    to_the_end(made)


def test_after_the_verdicts_of_a_rung_only_survivors_are_saved(tmp_path: Path) -> None:
    made = worker_of(tmp_path, rungs=(1, 3))
    made.add([member(0), member(1)])
    made.step(LATER)
    assert not list(tmp_path.glob("*/checkpoint*"))
    made.remove([1], [])
    assert made.live == [0]
    made.step(LATER)
    saved = [path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("*/checkpoint*")]
    assert saved == ["0/checkpoint-000001-000000000.safetensors"]
    state = checkpoint.read(FileStore.of(tmp_path / "0"), known=1)
    assert state is not None
    assert state.record["epoch"] == 1


@pytest.mark.parametrize(
    ("every", "saved"), [(0.0, ["000001-000000016", "000002-000000000"]), (3600.0, [])]
)
def test_between_rungs_members_are_saved_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: float, saved: list[str]
) -> None:
    monkeypatch.setattr(cohort, "SAVE_EVERY_S", every)
    made = worker_of(tmp_path, rungs=(3,))
    made.add([member(0)])
    for _ in range(2):
        made.step(time.monotonic())
        while not made.cohorts[0].training.at_epoch_end():
            made.step(time.monotonic())
    made.step(LATER)
    found = sorted(path.stem for path in tmp_path.glob("0/checkpoint*"))
    assert found == [f"checkpoint-{epoch}" for epoch in saved]


def test_a_lost_member_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    made.add([member(0, model__dropout=0.2), member(1)])
    first = made.step(LATER)
    made.step(time.monotonic())  # saves, and dies amid the second epoch
    again = worker_of(tmp_path)
    again.add([member(0, known=1, model__dropout=0.2)])
    rest = to_the_end(again)
    _, alone = trained([from_params(member(0, model__dropout=0.2).params)], narrow())
    assert losses([*first, *rest], 0) == losses(alone, 0)


def test_who_leaves_to_go_on_later_is_saved_first(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    made.add([member(0), member(1)])
    first = made.step(LATER)
    made.save([0])
    made.remove([0], [])
    made.add([member(0, known=1)])  # later, after its neighbour perhaps
    assert losses([*first, *to_the_end(made)], 0) == losses(trained_alone(0), 0)


def test_cohorts_of_one_shape_that_have_dwindled_merge(tmp_path: Path) -> None:
    files = FileStore.of(tmp_path)
    made = Worker(narrow(), files, range(1, 9), cohort_size=lambda *_: 3)
    made.add([member(n, train__epochs=8) for n in range(6)])
    reports = made.step(LATER) + made.step(LATER)
    assert [cohort.size for cohort in made.cohorts] == [3, 3]
    made.remove([1, 2], [])
    reports += made.step(LATER)
    assert [cohort.size for cohort in made.cohorts] == [2, 2], "four are more than train best"
    made.remove([5], [])
    reports += made.step(LATER)
    assert [cohort.size for cohort in made.cohorts] == [3]
    reports += to_the_end(made)
    for number in (0, 3, 4):
        _, alone = trained([from_params(member(number, train__epochs=8).params)], narrow())
        assert losses(reports, number) == losses(alone, 0)
    assert {path.parent.name for path in tmp_path.glob("*/model.safetensors")} == {"0", "3", "4"}


@pytest.mark.parametrize("sizes", [(5, 3, 3), (5, 4, 3), (3, 3, 1), (1, 1, 1)])
def test_three_cohorts_of_one_shape_merge(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    made = Worker(narrow(), FileStore.of(tmp_path), range(1, 9), cohort_size=lambda *_: 8)
    made.add([member(n, train__epochs=8) for n in range(24)])
    assert [cohort.size for cohort in made.cohorts] == [8, 8, 8]
    leaving = [
        n for c, size in zip(made.cohorts, sizes, strict=True) for n in c.training.live[size:]
    ]
    made.remove(leaving, [])
    reports = made.step(LATER)
    assert sum(cohort.size for cohort in made.cohorts) == sum(sizes)
    assert len(made.cohorts) == -(-sum(sizes) // 8)
    assert {report.epoch for report in reports} == {1}


@pytest.mark.parametrize("older_takes_in", [True, False])
def test_members_that_merge_are_saved_when_the_first_of_them_was_due(older_takes_in: bool) -> None:
    older, younger = (
        cohort.WorkerCohort("shape", Training([MemberStart(n, config())], narrow()), every=50)
        for n in range(2)
    )
    older.advance(LATER)
    left = older.steps_left
    assert left == 50 - older.training.batches
    into, other = (older, younger) if older_takes_in else (younger, older)
    into.take_in(other)
    assert (into.size, other.size) == (2, 0)
    assert into.steps_left == left


def test_a_member_that_came_within_an_epoch_joins_its_shape_after_it(tmp_path: Path) -> None:
    gone = worker_of(tmp_path, rungs=(3,))
    gone.add([member(0, model__dropout=0.2), member(1)])
    reports: list[Report] = []
    while not gone.cohorts[0].training.i:
        reports += gone.step(time.monotonic())
    while gone.cohorts[0].training.i % 8:
        reports += gone.step(time.monotonic())
    gone.save([0])
    made = worker_of(tmp_path, rungs=(3,))
    made.add([member(2)])
    made.add([member(0, model__dropout=0.2)])
    within = len(made.cohorts)
    reports += to_the_end(made)
    assert within == 2
    _, alone = trained([from_params(member(0, model__dropout=0.2).params)], narrow())
    assert losses(reports, 0) == losses(alone, 0)


def test_models_are_kept_of_those_that_end_well(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    made.add([member(0), member(1), member(2)])
    made.step(LATER)
    made.remove([1, 2], [2])
    to_the_end(made)
    kept = sorted(path.parent.name for path in tmp_path.glob("*/model.safetensors"))
    assert kept == ["0", "2"]


def test_who_was_to_join_a_cohort_that_died_out_begins_another(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    made.add([member(0)])
    made.step(time.monotonic())
    made.add([member(1)])
    made.remove([0], [])
    assert made.live == [1]
    assert losses(to_the_end(made), 1) == losses(trained_alone(1), 0)


def trained_alone(number: int) -> list[Report]:
    return trained([from_params(member(number).params)], narrow())[1]


def test_members_join_between_two_epochs_of_a_live_cohort_of_their_shape() -> None:
    first, other = config(), config(model__hidden_dims="6")
    training = Training(starts([first]), narrow())
    with pytest.raises(ValueError, match="one shape"):
        training.add([MemberStart(1, other)])
    run_steps(training, 3)
    with pytest.raises(ValueError, match="between two epochs"):
        training.add([MemberStart(1, first)])
    training.retire([0])
    with pytest.raises(ValueError, match="those that train"):
        training.add([MemberStart(1, first)])


def test_large_networks_are_saved_every_so_many_steps_and_go_on_from_there(tmp_path: Path) -> None:
    """A step returns for it, since nothing is saved that the driver might not know of."""
    made = Worker(narrow(), FileStore.of(tmp_path), (3,), save_every=8)
    made.add([member(0, model__dropout=0.2)])
    assert made.step(LATER) == []
    assert list(tmp_path.iterdir()) == []
    assert made.step(LATER) == []
    assert [path.stem for path in (tmp_path / "0").iterdir()] == ["checkpoint-000000-000000008"]
    made.step(LATER)
    again = worker_of(tmp_path, rungs=(3,))
    again.add([member(0, model__dropout=0.2), member(1)])
    assert [cohort.training.taken for cohort in again.cohorts] == [0, 0]
    assert sorted(again.live) == [0, 1]
    assert again.cohorts[0].training.i + again.cohorts[1].training.i == 16
    reports = to_the_end(again)
    _, alone = trained([from_params(member(0, model__dropout=0.2).params)], narrow())
    assert losses(reports, 0) == losses(alone, 0)
    assert losses(reports, 1) == losses(trained_alone(1), 0)


@pytest.mark.parametrize(("hidden", "every"), [("8-4", None), ("512-256", 500)])
def test_how_often_models_are_saved_follows_from_their_size(
    tmp_path: Path, hidden: str, every: int | None
) -> None:
    made = worker_of(tmp_path)
    made.add([member(0, model__hidden_dims=hidden)])
    assert made.cohorts[0].every == every


def broken(*args: Any) -> Any:
    raise RuntimeError("a defect")


def test_an_exception_in_one_cohort_leaves_checkpoints_of_the_others(tmp_path: Path) -> None:
    """And what was reported before it is not lost: it is raised by the next step."""
    made = worker_of(tmp_path, rungs=(3,))
    made.add([member(0), member(1), member(2, model__hidden_dims="6")])
    culprit = next(cohort for cohort in made.cohorts if cohort.training.live == [2])
    culprit.training.executor.step = broken  # type: ignore[method-assign]
    reports = made.step(LATER)
    assert {report.number for report in reports} == {0, 1}
    assert len(reports) >= 2
    with pytest.raises(RuntimeError, match="a defect"):
        made.step(LATER)
    saved = {path.parent.name: path.stem for path in tmp_path.glob("*/checkpoint*")}
    last = max(report.epoch for report in reports)
    assert saved == dict.fromkeys("01", f"checkpoint-{last:06d}-000000000")


def test_an_exception_at_once_is_raised_at_once(tmp_path: Path) -> None:
    made = worker_of(tmp_path)
    made.add([member(0)])
    made.cohorts[0].training.executor.step = broken  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="a defect"):
        made.step(LATER)


def test_checkpoints_that_cannot_be_written_do_not_hide_what_ended_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made = worker_of(tmp_path, rungs=(3,))
    made.add([member(0), member(2, model__hidden_dims="6")])
    made.cohorts[1].training.executor.step = broken  # type: ignore[method-assign]
    made.step(LATER)
    monkeypatch.setattr(checkpoint, "write", lambda *args: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(RuntimeError, match="a defect"):
        made.step(LATER)
    assert "checkpoints could not be written: OSError('full')" in capfd.readouterr().err


def test_in_rounds_each_member_trains_one_epoch_and_waits(tmp_path: Path) -> None:
    made = Worker(narrow(), FileStore.of(tmp_path), (1, 3), most=8, in_rounds=True)
    shapes = [member(n, model__hidden_dims="6" if n == 2 else "8") for n in range(3)]
    made.follow(Instructions(join=tuple(shapes), go=True))
    for epoch in (1, 2):
        reports = []
        while not made.waits:  # its clock makes no difference
            reports += made.step(time.monotonic())
        assert sorted((r.number, r.epoch) for r in reports) == [(n, epoch) for n in range(3)]
        assert made.step(LATER) == []
        made.follow(Instructions(go=True))


def test_in_rounds_who_has_to_train_known_epochs_again_catches_up_at_once(tmp_path: Path) -> None:
    """Its checkpoint is lost; the others of its shape do not train more than their epoch."""
    made = Worker(narrow(), FileStore.of(tmp_path), (1, 3), most=8, in_rounds=True)
    made.follow(Instructions(join=(member(0), member(1, known=2)), go=True))
    reports = []
    while not made.waits:
        reports += made.step(LATER)
    assert sorted((r.number, r.epoch) for r in reports) == [(0, 1), (1, 1), (1, 2), (1, 3)]
