"""The same on a CPU and on a GPU: cohorts against one by one, explosions, a worker's crew.

Without a GPU its cases are skipped, and those of the CPU keep the tests themselves alive.
"""

from itertools import cycle
from pathlib import Path

import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.losses import OF_ROWS
from tests.fixtures.trainings import SMALL, config, final, finish, narrow, starts, stop_of
from trainable.io.file_store import FileStore
from trainable.optimizers import OPTIMIZERS
from trainable.training.loop import Training
from trainable.worker.assignment import Assignment
from trainable.worker.worker import Worker

ON_A_GPU = pytest.param(
    "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
)
BATCHED = [name for name, optimizer in OPTIMIZERS.items() if optimizer.has_batched_form]
each_device = pytest.mark.parametrize("device", ["cpu", ON_A_GPU])


@each_device
@pytest.mark.parametrize(("optimizer", "loss"), [*zip(BATCHED, cycle(OF_ROWS))])
def test_cohort_and_one_by_one_agree_to_1e_9(optimizer: str, loss: str, device: str) -> None:
    configs = [
        config(
            optimizer__name=optimizer, loss__name=loss, optimizer__lr=10.0**-k,
            optimizer__clip=0.5 * k, train__seed=k, train__steps_per_epoch=100,
        )
        for k in (2, 3, 4)
    ]  # fmt: skip
    options = {"device": device, "dtype": torch.float64}
    together = Training(starts(configs), narrow(), "cohort", **options)
    run_steps(together, 60)
    for k, each in enumerate(configs):
        alone = Training(starts([each]), narrow(), "solo", **options)
        run_steps(alone, 60)
        assert (final(together, k) - final(alone, 0)).abs().max() < 1e-9


@each_device
def test_dropout_of_a_lone_model_draws_from_its_own_generator_and_goes_on(device: str) -> None:
    each = config(model__dropout=0.3)
    whole = Training(starts([each]), narrow(), "solo", device)
    run_steps(whole, 20)
    half = Training(starts([each]), narrow(), "solo", device)
    run_steps(half, 11)
    torch.manual_seed(3)  # of all devices
    other = Training(starts([each]), narrow(), "solo", device)
    run_steps(other, 0)
    other.i = 11
    other.executor.load(0, half.executor.state(0))
    run_steps(other, 9)
    assert torch.equal(final(other, 0), final(whole, 0))


@each_device
def test_an_explosion_stays_with_its_member(device: str) -> None:
    wild = config(
        optimizer__name="sgd", optimizer__lr=1e30, optimizer__clip=1e12, model__norm=False
    )
    calm = config(
        optimizer__name="sgd", optimizer__lr=1e-3, optimizer__clip=1e12, model__norm=False
    )
    pair = finish(Training(starts([calm, wild]), narrow(), "cohort", device))
    twins = finish(Training(starts([calm, calm]), narrow(), "cohort", device))
    assert stop_of(pair, 1).reason == "nan_explosion"
    assert stop_of(pair, 0).reason == "completed"
    losses = [[r.values["val_loss"] for r in reports if r.number == 0] for reports in (pair, twins)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@each_device
def test_a_crew_trains_small_and_large_and_goes_on_from_its_checkpoints(
    device: str, tmp_path: Path
) -> None:
    shapes = {0: "8-4", 1: "8-4", 2: "512-256"}
    members = [
        Assignment(n, SMALL | {"model/hidden_dims": h, "model/dropout": 0.2, "train/seed": n}, 0)
        for n, h in shapes.items()
    ]
    first = Worker(narrow(), FileStore.of(tmp_path), (1, 3), device, most=4)
    first.add(members)
    reports = []
    while {r.number for r in reports} != set(shapes):
        reports += first.step(float("inf"))
    known = {n: max(r.epoch for r in reports if r.number == n) for n in shapes}
    first.save([0, 1, 2])
    other = Worker(narrow(), FileStore.of(tmp_path), (1, 3), device, most=4)
    other.add([Assignment(m.number, m.params, known[m.number]) for m in members])
    while other.live:
        reports += other.step(float("inf"))
    assert sorted((r.number, r.epoch) for r in reports) == [
        (n, e) for n in shapes for e in (1, 2, 3)
    ]
    assert [stop_of(reports, n).reason for n in shapes] == ["completed"] * 3
