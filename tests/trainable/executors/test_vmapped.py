"""Modules without a form written by hand: a cohort equals its members trained one by one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.step.__main__ import run_steps
from tests.fixtures.modules import CONVOLUTIONS, NETWORKS, Body, registered, windowed
from tests.fixtures.trainings import best, changed, config, final, finish, narrow, starts, trained
from trainable.config import TrialConfig, to_params
from trainable.executors import EXECUTORS, executor_for, state_form, why_alone
from trainable.executors.base import Executor
from trainable.losses import LOSSES
from trainable.losses.base import Loss, Targets, by_autograd
from trainable.models import MODELS, InputShape, build_model
from trainable.optimizers import OPTIMIZERS
from trainable.training.loop import Training

BATCHED = [name for name, entry in OPTIMIZERS.items() if getattr(entry, "has_batched_form", True)]
CPU = torch.device("cpu")
DOUBLE: Any = {"dtype": torch.float64}


def various(**shared: Any) -> list[TrialConfig]:
    """Three members that differ in all that may differ but dropout."""
    return [
        config(
            **shared,
            train__seed=k,
            optimizer__lr=1e-3 * (k + 1),
            optimizer__weight_decay=0.1 * k,
            optimizer__clip=(0.05, 5.0, 0.5)[k],
            optimizer__momentum=0.4 * k,
            optimizer__beta1=0.9 - 0.2 * k,
            loss__delta=0.5 + k,
            loss__dead_zone=(0.0, 0.004, 0.002)[k],
            schedule__warmup_steps=5 * k,
        )
        for k in range(3)
    ]


def dropping(name: str, count: int = 3, **shared: Any) -> list[TrialConfig]:
    """Members that drop different shares."""
    return [
        windowed(
            name,
            **shared,
            train__seed=k,
            model__dropout=(0.2, 0.0, 0.5, 0.1)[k % 4],
            optimizer__lr=1e-3 * (k + 1),
            optimizer__clip=0.2 * (k + 1),
        )
        for k in range(count)
    ]


def after(steps: int, configs: list[TrialConfig], executor: str) -> Training:
    training = Training(starts(configs), narrow(), executor, **DOUBLE)
    run_steps(training, steps)
    return training


# Adafactor scales a tensor by all of its gradients; those of the keys' bias are rounding errors.
PAIRS = [
    (name, optimizer)
    for name in (*NETWORKS, "mlp")
    for optimizer in BATCHED
    if not (name.startswith("transformer") and optimizer == "adafactor")
]


@pytest.mark.parametrize(("name", "optimizer"), PAIRS)
def test_cohort_and_solo_agree_to_1e_9(name: str, optimizer: str) -> None:
    shared = {"model__name": name, "data__window": 3, "optimizer__name": optimizer}
    configs = various(**shared, train__steps_per_epoch=40)
    together = after(24, configs, "vmapped")
    k = (BATCHED.index(optimizer) + len(name)) % 3
    for executor in ("solo", "serial"):
        alone = after(24, [configs[k]], executor)
        assert (final(together, k) - final(alone, 0)).abs().max() < 1e-9, executor


@pytest.mark.parametrize("name", NETWORKS)
def test_members_that_drop_agree_with_lone_ones(name: str) -> None:
    configs = dropping(name)
    together = after(20, configs, "vmapped")
    for k, each in enumerate(configs):
        for executor in ("vmapped", "serial"):
            alone = after(20, [each], executor)
            assert (final(together, k) - final(alone, 0)).abs().max() < 1e-9, executor
    undropped = after(20, [changed(each, model__dropout=0.0) for each in configs], "vmapped")
    gaps = [(final(together, k) - final(undropped, k)).abs().max() for k in range(3)]
    assert [bool(gap > 1e-6) for gap in gaps] == [True, False, True]


def test_the_form_by_hand_and_that_by_vmap_train_the_same_network_with_dropout() -> None:
    configs = [changed(each, model__dropout=0.2 * k) for k, each in enumerate(various())]
    by_hand, by_vmap = after(20, configs, "cohort"), after(20, configs, "vmapped")
    for k in range(3):
        assert (final(by_hand, k) - final(by_vmap, k)).abs().max() < 1e-9


@pytest.mark.parametrize("name", NETWORKS)
def test_several_outputs_agree_with_solo(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = by_autograd(lambda p, t, *_: ((p - t.y).square().mean((-1, -2)), {}))
    monkeypatch.setitem(LOSSES, "mse", Loss(LOSSES["mse"].config, everything))
    shape = InputShape(3, 5, (("return", 2), ("action", 3)))
    configs = [windowed(name, train__seed=k, loss__name="mse") for k in range(2)]
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 2, 6, 3, 5, generator=generator, dtype=torch.float64)
    y = torch.randn(4, 2, 6, 5, generator=generator, dtype=torch.float64)

    def weights(executor: Executor, members: slice) -> list[dict[str, Tensor]]:
        count = len(range(2)[members])
        executor.plan(torch.full((4, count), 1e-2).numpy())
        for i in range(4):
            prepared = executor.prepare(x[i, members])
            executor.step(i, prepared, Targets(y[i, members]))
        assert executor.predict(x[0, 0]).shape == (count, 6, 5)
        return [executor.weights(k) for k in range(count)]

    def made(executor: str, some: list[TrialConfig]) -> Executor:
        return EXECUTORS[executor](some, shape, CPU, torch.float64)

    together = weights(made("vmapped", configs), slice(0, 2))
    for k, each in enumerate(configs):
        (alone,) = weights(made("solo", [each]), slice(k, k + 1))
        for key, tensor in alone.items():
            torch.testing.assert_close(together[k][key], tensor, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_nan_in_one_member_never_touches_another(name: str) -> None:
    configs = dropping(name, train__epochs=1)
    calm, _ = trained(configs, narrow(), executor="vmapped")
    cohort = Training(starts(configs), narrow(), "vmapped")
    run_steps(cohort, 11)
    cohort.executor.parts["head.bias"][0] = torch.nan  # type: ignore[attr-defined]
    cohort.executor.parts["head.bias"][2] = torch.inf  # type: ignore[attr-defined]
    finish(cohort)
    assert torch.equal(best(cohort.ended[1]), best(calm[1]))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_state_goes_on_exactly_and_in_every_form(name: str) -> None:
    configs = dropping(name, train__steps_per_epoch=20)
    whole = after(20, configs, "vmapped")
    half = after(8, configs, "vmapped")
    states = [half.executor.state(k) for k in range(3)]
    for executor in ("vmapped", "serial"):
        other = after(0, configs, executor)
        other.i = 8
        for k in (2, 0, 1):
            other.executor.load(k, states[k])
        run_steps(other, 12)
        for k in range(3):
            assert (final(other, k) - final(whole, k)).abs().max() < 1e-9
    assert {state_form(name) for name in ("cohort", "serial", "vmapped")} == {"cohort"}


@pytest.mark.parametrize("name", NETWORKS)
def test_members_come_and_go_without_disturbing_the_others(name: str) -> None:
    configs = dropping(name, 4, train__epochs=2)
    alone, _ = trained([configs[1]], narrow(), executor="vmapped", **DOUBLE)
    late, _ = trained([configs[3]], narrow(), executor="vmapped", **DOUBLE)
    cohort = Training(starts(configs[:3]), narrow(), "vmapped", **DOUBLE)
    run_steps(cohort, 7)
    cohort.retire([0])
    run_steps(cohort, 20)
    cohort.advance()
    cohort.add(starts(configs)[3:])
    cohort.retire([2])
    finish(cohort)
    for number, member in ((1, alone[0]), (3, late[0])):
        assert (best(cohort.ended[number]) - best(member)).abs().max() < 1e-9


def test_a_roll_back_takes_weights_and_optimizer_back() -> None:
    training = after(8, dropping(CONVOLUTIONS), "vmapped")
    executor = training.executor
    good = [executor.state(k) for k in range(3)]
    run_steps(training, 5)
    executor.restore([1])
    for k, moved in enumerate([True, False, True]):
        state = executor.state(k)
        same = all(torch.equal(state[key], good[k][key]) for key in ("p", "slot.0", "slot.1"))
        assert same is not moved


class Tied(Body):
    """A weight under two names, a buffer that is saved, one that is not, a share of its own."""

    def __init__(self, shape: InputShape, dropout: float) -> None:
        super().__init__(shape, dropout)
        self.again = nn.Linear(4, 4)
        self.further = nn.Linear(4, 4)
        self.further.weight = self.again.weight
        self.light = nn.Dropout(0.1)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 4))
        self.register_buffer("unsaved", torch.ones(4), persistent=False)

    def hidden(self, x: Tensor) -> Tensor:
        x = self.light(super().hidden(x)) * self.scale * self.unsaved
        return self.further(self.dropout(self.again(x)))


def test_tied_weights_buffers_and_shares_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    registered(monkeypatch, lambda c, s: Tied(s, c.dropout))
    configs = [config(model__name="own", train__seed=k) for k in range(2)]
    assert executor_for(configs[0], InputShape(1, 3), "cpu") == "vmapped"
    training = after(20, configs, "vmapped")
    x = training.windows.at(training.windows.valid_rows[:16])
    answers = training.executor.predict(x)
    for k in range(2):
        module = build_model(configs[k].model, InputShape(1, 3), 9).double()
        module.load_state_dict(training.executor.weights(k))
        torch.testing.assert_close(module.eval()(x), answers[k], rtol=0, atol=1e-12)
    alone = after(20, configs[:1], "serial")
    assert (final(alone, 0) - final(training, 0)).abs().max() < 1e-9
    dropout = training.executor.dropout  # type: ignore[attr-defined]
    light, first, second = dropout.factors(0, 4000)
    shares = [float((factor == 0).float().mean()) for factor in (light, first, second)]
    assert shares == pytest.approx([0.1, 0.0, 0.0], abs=0.01)


def test_dropout_of_attention_drops_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch's own encoder layer, as most people write it, trains in a cohort."""

    def build(config: Any, shape: InputShape) -> nn.Module:
        layer = nn.TransformerEncoderLayer(4, 2, 8, config.dropout, batch_first=True)
        inputs = nn.Linear(shape.features, 4)
        head = nn.Linear(4 * shape.window, shape.outputs)
        return nn.Sequential(inputs, layer, nn.Flatten(), head, nn.Flatten(0))

    registered(monkeypatch, build)
    plain = [windowed("own", train__seed=k) for k in range(2)]
    for k, alone in enumerate(after(20, [each], "solo") for each in plain):
        assert (final(after(20, plain, "vmapped"), k) - final(alone, 0)).abs().max() < 1e-9
    configs = [changed(each, model__dropout=0.2) for each in plain]
    together = after(20, configs, "vmapped")
    assert (final(together, 1) - final(after(20, configs[1:], "serial"), 0)).abs().max() < 1e-9
    assert (final(together, 1) - final(after(20, plain, "vmapped"), 1)).abs().max() > 1e-6
    x = together.windows.at(together.windows.valid_rows[:16])
    module = build_model(configs[1].model, InputShape(3, 3), 0).double().eval()
    module.load_state_dict(together.executor.weights(1))
    found = [each.executor.predict(x)[-1] for each in (together, after(20, configs[1:], "serial"))]
    for predictions in found:
        torch.testing.assert_close(predictions, module(x), rtol=0, atol=1e-9)


def test_what_trains_how_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    small, shape = windowed(CONVOLUTIONS), InputShape(3, 3)
    assert executor_for(small, shape, "cpu") == executor_for(small, shape, "cuda") == "vmapped"
    assert why_alone(small, shape, "cpu") is None
    busy = changed(small, train__batch_size=2**18)  # many rows fill a core, too
    assert executor_for(busy, shape, "cpu") == "serial"
    assert executor_for(busy, shape, "cuda") == "vmapped"
    assert "too large to gain" in (why_alone(busy, shape, "cpu") or "")
    parts = changed(busy, train__accumulate=2**8)
    assert executor_for(parts, shape, "cpu") == "vmapped"
    assert executor_for(config(train__precision="bf16"), InputShape(1, 3), "cpu") == "vmapped"
    several = InputShape(1, 3, (("return", 2),))
    assert executor_for(config(), several, "cpu") == "vmapped"
    registered(monkeypatch, lambda c, s: nn.GRU(s.features, 4))
    own = config(model__name="own")
    assert executor_for(own, InputShape(1, 3), "cpu") == "solo"
    assert why_alone(own, InputShape(1, 3), "cpu") == (
        "own trains alone: nn.GRU has no form for many members"
    )
    assert to_params(own)["model/name"] in MODELS


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_result_is_bit_identical_for_every_cohort_size(name: str) -> None:
    """With batches of a multiple of 16 rows; others let the place in memory show."""
    configs = dropping(name, 7, train__epochs=1)
    everyone, _ = trained(configs, narrow(), executor="vmapped")
    for chosen in ([0], [4, 2], [6, 0, 1, 2, 3]):
        members, _ = trained([configs[k] for k in chosen], narrow(), executor="vmapped")
        for k, member in members.items():
            assert torch.equal(best(member), best(everyone[chosen[k]])), (k, chosen)
