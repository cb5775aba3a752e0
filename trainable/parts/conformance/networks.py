"""What a network must do: shape, gradients, state, seeds, rows by themselves, a signal learnt."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as tensors_as_bytes
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainable.executors.base import component
from trainable.executors.rng import drawing_from, generator_of
from trainable.executors.vmapped.fusion import fusion_of
from trainable.executors.vmapped.memory import remembered
from trainable.models import MODELS, InputShape, ModelConfig, build_model
from trainable.parts.conformance.finding import Check
from trainable.parts.faults import MORE

ROWS = 8
SHAPE = InputShape(window=4, features=3)
WIDER = tuple(product((4, 8, 16, 64), (3, 4, 8)))  # windows and features that a network may need
CUT_OFF = (
    "its answer does not follow from its parameters by torch's functions (numpy, detach and "
    "no_grad cut it off), so nothing is learnt"
)
CLOSE = 1e-5  # float32, of numbers around 1
TOY_ROWS, TOY_STEPS, TOY_LR, TOY_SHARE = 128, 300, 1e-2, 0.75


@dataclass(frozen=True)
class Network:
    """A model's configuration, and the shape that it is built for."""

    config: ModelConfig
    shape: InputShape = SHAPE

    def built(self, seed: int = 0) -> nn.Module:
        """Returns it with the first weights of a seed."""
        return build_model(self.config, self.shape, seed)

    def inputs(self, rows: int = ROWS, seed: int = 1) -> Tensor:
        """Returns random windows [rows, W, F]."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(rows, self.shape.window, self.shape.features, generator=generator)


def fitting(config: ModelConfig, shape: InputShape = SHAPE) -> tuple[Network, str | None]:
    """Returns a network of a shape that it can be built for, and why that is another one.

    Where it can be built for none, the shape is the one that was given.
    """
    why = _failure(Network(config, shape))
    if why is not None:
        for window, features in WIDER:
            wider = Network(config, replace(shape, window=window, features=features))
            if _failure(wider) is None:
                return wider, (
                    f"it cannot be built for a window of {shape.window} rows and {shape.features} "
                    f"features ({why}); it is checked with {window} rows and {features} features, "
                    "and a search refuses what does not fit"
                )
    return Network(config, shape), None


def _failure(network: Network) -> str | None:
    """Returns why a network cannot be built or answer, in words; None: it can."""
    try:
        _answer(network.built(), network.inputs())
    except Exception as error:  # noqa: BLE001 - of the part, and it is told
        return " ".join(str(error).partition(MORE)[0].split()) or type(error).__name__
    return None


def wrong_answer(answer: Any, rows: int, shape: InputShape) -> str | None:
    """Returns how an answer to some rows differs from what training takes; None: it does not."""
    if not isinstance(answer, Tensor):
        return f"forward returns a {type(answer).__name__}; it must return a tensor"
    wanted = (rows,) if shape.outputs == 1 else (rows, shape.outputs)
    if answer.shape != wanted:
        each = "one number" if shape.outputs == 1 else f"shape.outputs = {shape.outputs} numbers"
        return (
            f"forward returns {tuple(answer.shape)} for {_rows(rows)} "
            f"{(rows, shape.window, shape.features)}; it must return {wanted}, {each} a row"
            + (": squeeze(-1) drops the last dimension alone" if not answer.dim() else "")
        )
    if not answer.is_floating_point():
        return f"forward returns {answer.dtype}; it must return floating-point numbers"
    return None


def answers_each_row(network: Network) -> str | None:
    """Checks that B rows get B numbers that follow from parameters, one row too."""
    model = network.built().eval()
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and module.running_mean is None:
            return (
                f"nn.{type(module).__name__} ({name}) without running statistics answers by the "
                "other rows of a batch, which may be of later days; leave track_running_stats=True"
            )
    for rows in (ROWS, 1):
        wrong = wrong_answer(_answer(model, network.inputs(rows)), rows, network.shape)
        if wrong is not None:
            return wrong
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return "it has no parameters that are trained: there is nothing to train"
    return None if model(network.inputs()).requires_grad else CUT_OFF


def leaves_its_inputs(network: Network) -> str | None:
    """Returns a note where forward changes what it is given."""
    x = network.inputs()
    with torch.no_grad():
        network.built().eval()(x)
    if torch.equal(x, network.inputs()):
        return None
    return (
        "forward changes its inputs in place; training gives it a copy, but whoever calls it twice "
        "sees other rows: write x = x - …, not x -= …"
    )


def is_finite(network: Network) -> str | None:
    """Checks that predictions are finite, also for windows in which nothing changes."""
    model = network.built().eval()
    x = network.inputs()
    for words, given in (
        ("random inputs", x),
        ("windows of zeros", torch.zeros_like(x)),
        ("windows of equal rows", x[:, :1].expand_as(x).contiguous()),
        ("inputs of size 100", 100 * x),
    ):
        if not bool(torch.isfinite(_answer(model, given)).all()):
            return f"predictions for {words} are not finite"
    return None


def gradients_reach_all(network: Network) -> str | None:
    """Checks that each component has a finite gradient that is not always zero."""
    model = network.built()
    reached: dict[str, bool] = {}
    for step in range(3):  # what begins at zero may hold back the others for a step
        _step(model, network.inputs(32, seed=step + 1), lr=0.1)
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:  # on purpose
                continue
            slope = parameter.grad
            if slope is not None and not bool(torch.isfinite(slope).all()):
                return f"the gradient of {component(name)} ({name}) is not finite"
            moved = slope is not None and bool(slope.any())
            reached[component(name)] = reached.get(component(name), False) or moved
    dead = [name for name, there in reached.items() if not there]
    if dead:
        return (
            f"no gradient reaches {', '.join(dead)}: forward does not use it, or cuts it off "
            "(detach, no_grad, argmax, rounding)"
        )
    return None


def seed_decides(network: Network) -> str | None:
    """Checks that the same seed gives the same weights, predictions and dropout."""
    one, other = network.built(3), network.built(3)
    weights = other.state_dict()
    for name, tensor in one.state_dict().items():
        if not torch.equal(tensor, weights[name]):
            return f"the same seed gives other first weights ({name}); draw them with torch alone"
    another = dict(network.built(4).named_parameters())
    drawn = {n: p for n, p in one.named_parameters() if bool((p != p.flatten()[:1]).any())}
    if drawn and all(torch.equal(p, another[n]) for n, p in drawn.items()):
        return "every seed gives the same first weights: does it call torch.manual_seed?"
    x = network.inputs()
    with torch.no_grad():
        if not torch.equal(_answer(one.eval(), x), _answer(one, x)):
            return "predicting the same rows twice gives two answers"
        one.train()
        twice = []
        for model in (one, other.train()):
            with drawing_from(generator_of(5, torch.device("cpu"))):
                twice.append(_answer(model, x))
    if not torch.equal(*twice):
        return "training draws random numbers that the seed does not decide; use torch's alone"
    return None


def is_restored(network: Network) -> str | None:
    """Checks that weights that are saved and loaded predict the same."""
    model = network.built(0)
    for step in range(3):
        _step(model, network.inputs(32, seed=step + 1), lr=0.05)
    weights = {name: t.detach().clone() for name, t in model.state_dict().items()}
    stored = load_tensors(tensors_as_bytes(weights))  # tied weights are stored twice
    fresh = network.built(7)
    fresh.load_state_dict(stored)
    x = network.inputs()
    apart = float((_answer(model.eval(), x) - _answer(fresh.eval(), x)).abs().max())
    if not apart <= CLOSE:
        hidden = ", ".join(_outside(model))
        return (
            f"saved and loaded it predicts otherwise (by {apart:.2g}): something that it learns is "
            f"neither a parameter nor a buffer{f' ({hidden})' if hidden else ''}; use "
            "nn.Parameter, register_buffer, nn.ModuleList"
        )
    return None


def rows_stand_alone(network: Network) -> str | None:
    """Checks that a row's prediction does not change with the other rows of its batch."""
    model = network.built()
    _step(model, network.inputs(32), lr=0.05)
    model.eval()
    x = network.inputs()
    whole = _answer(model, x)
    others = x.clone()
    others[1:] = -3 * x[1:]
    cases = {
        "when the others change": _answer(model, others)[:1] - whole[:1],
        "when it is predicted alone": _answer(model, x[:1]) - whole[:1],
        "when their order changes": _answer(model, x.flip(0)).flip(0) - whole,
    }
    for words, apart in cases.items():
        if not float(apart.abs().max()) <= 1e-4 * (1 + float(whole.abs().max())):
            return (
                f"a row's prediction changes {words}: forward mixes the rows of a batch, which "
                "may be of later days"
            )
    return None


def learns_a_signal(network: Network) -> str | None:
    """Checks that it learns to repeat one feature of the present row."""
    model = network.built()
    x = network.inputs(TOY_ROWS, seed=11)
    fresh = network.inputs(TOY_ROWS, seed=12)
    y, wanted = x[:, -1, 0], fresh[:, -1, 0]
    optimizer = torch.optim.Adam(model.parameters(), lr=TOY_LR)
    variance, share = float(wanted.var()), 1.0
    with _drawing(13):
        for step in range(1, TOY_STEPS + 1):
            optimizer.zero_grad(set_to_none=True)
            model.train()
            (model(x.clone()) - y).square().mean().backward()
            optimizer.step()
            if step % 25 == 0:
                left = _answer(model.eval(), fresh) - wanted
                share = float(left.square().mean()) / variance
                if share < TOY_SHARE:
                    return None
    return (
        f"after {TOY_STEPS} steps on a target that is one of its inputs, {share:.0%} of the "
        f"target's variance is left on new rows (below {TOY_SHARE:.0%} is wanted): does it use the "
        "present row, and is its output free of bounds?"
    )


def remembers_in_buffers(network: Network) -> str | None:
    """Checks that what it counts or gathers in training is kept where a trial pauses."""
    names = remembered(network.built().train(), network.inputs())
    if not names:
        return None
    return (
        f"{', '.join(names)} changes with each batch and is no buffer: a trial that pauses, as at "
        "a rung, begins with it anew; use register_buffer, or leave it out"
    )


def answers_several(network: Network) -> str | None:
    """Returns how it answers a loss that asks for more than one number a row."""
    several = Network(network.config, replace(network.shape, heads=(("quantile", 2),)))
    answer = _answer(several.built().eval(), network.inputs())
    if wrong_answer(answer, ROWS, several.shape) is None:
        return None
    return (
        "it answers one number a row, also where shape.outputs says more: losses that ask for "
        "several, such as those of quantiles or actions, cannot train it"
    )


def can_be_fused(network: Network) -> str | None:
    """Returns why its trials train alone; None: many can be one program."""
    why = (
        None
        if MODELS[network.config.name].batched
        else fusion_of(network.config, network.shape).why
    )
    return None if why is None else f"it trains alone: {why}"


CHECKS: tuple[tuple[str, Check[Network]], ...] = (
    ("output", answers_each_row),
    ("same seed, same result", seed_decides),
    ("finite predictions", is_finite),
    ("gradients", gradients_reach_all),
    ("save and load", is_restored),
    ("remembers in buffers only", remembers_in_buffers),
    ("looks at its own row only", rows_stand_alone),
    ("learns a planted signal", learns_a_signal),
)
BASIC = 2  # that the others build on
NOTES: tuple[tuple[str, Check[Network]], ...] = (
    ("its inputs", leaves_its_inputs),
    ("many as one program", can_be_fused),
    ("several outputs", answers_several),
)


def _answer(model: nn.Module, x: Tensor) -> Any:
    """Returns what a network makes of a copy of its inputs, which it may change."""
    with torch.no_grad():
        return model(x.clone())


def _step(model: nn.Module, x: Tensor, lr: float) -> None:
    """Takes a step of gradient descent on a target of the inputs."""
    model.train()
    model.zero_grad(set_to_none=True)
    target = x[:, -1].sum(-1) + 0.1
    with _drawing(2):
        (model(x.clone()) - target).square().mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= lr * parameter.grad.clamp(-1, 1)


@contextmanager
def _drawing(seed: int) -> Iterator[None]:
    """Lets layers draw from a generator of a seed; torch's own is as before afterwards."""
    with drawing_from(generator_of(seed, torch.device("cpu"))):
        yield


def _outside(model: nn.Module) -> list[str]:
    """Returns the attributes that hold tensors or modules which `state_dict` does not see."""
    found = []
    for prefix, module in model.named_modules():
        for name, value in vars(module).items():
            if name.startswith("_"):
                continue
            several = value.values() if isinstance(value, dict) else value
            inside = several if isinstance(value, list | tuple | dict) else [value]
            if any(isinstance(one, Tensor | nn.Module) for one in inside):
                found.append(f"{prefix}.{name}".lstrip("."))
    return found


def _rows(count: int) -> str:
    return "one row" if count == 1 else f"{count} rows"
