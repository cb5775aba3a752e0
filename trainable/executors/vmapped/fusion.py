"""Whether a module can train many members as one program: found out by a trial, once a shape."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainable.executors.vmapped.memory import remembered
from trainable.executors.vmapped.skeleton import Skeleton
from trainable.hyperparameter import Hyperparameter, hyperparameters
from trainable.models import MODELS, InputShape, ModelConfig
from trainable.models.layers.scaled import ScaledLayer, SeparateHeads

ROWS = 2  # of a trial
LARGE = 2**22  # parameters of a model whose trial has one member: copies of it take memory
DROPPED = 0.25  # share of a trial's dropout: layers that are left out at 0 must be there
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
OTHER_DROPOUT = (
    nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU,
)  # fmt: skip
IN_WORDS = {
    "randomness error mode": "it draws random numbers in another way than by nn.Dropout",
    "data-dependent control flow": "its forward takes another course for other values of a tensor",
    "dynamic shape": "it selects rows by their values: the size of a tensor depends on them",
    "performance drop": "{op} has no form for many members",
    "Batching rule not implemented": "{op} has no form for many members",
    "escaped from inside a function": "it computes parts of its forward again (checkpoint)",
    "have storage": "it leaves torch, with numpy or by item()",
    "item()": "it reads a tensor's value with item()",
}


class _CannotFuseError(Exception):
    """Says why, in plain words."""


@dataclass(frozen=True)
class Fusion:
    """What a trial found out.

    Attributes:
        why: the module cannot be fused, in plain words; None: it can.
        calls: name of the layer of each call of dropout.
        widths: values that a row has at each of these calls.
        work: multiplications of a row's forward.
    """

    why: str | None
    calls: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    work: int = 0


def fusion_of(config: ModelConfig, shape: InputShape) -> Fusion:
    """Returns what a trial of the model on a few rows finds out; once a shape."""
    return _found(typical(config), shape, MODELS[config.name])


def typical(config: ModelConfig) -> ModelConfig:
    """Returns the configuration with defaults where members may differ, and with dropout."""
    own = _per_member(config)
    values = {name: known.default for name, known in own.items()}
    if "dropout" in values and _allows(own["dropout"], DROPPED):
        values["dropout"] = DROPPED
    return replace(cast(Any, config), **values)


@cache
def _found(config: ModelConfig, shape: InputShape, entry: object) -> Fusion:
    with torch.inference_mode(False), torch.enable_grad():
        try:
            return _try(config, shape)
        except _CannotFuseError as error:
            return Fusion(str(error))


def _try(config: ModelConfig, shape: InputShape) -> Fusion:
    if MODELS[config.name].batches != "rows":
        raise _CannotFuseError("its batches are whole days, and each day has a graph of its own")
    first = Skeleton(config, shape)
    _check_memory(first.module, shape)
    _check_layers(first.module)
    large = sum(p.numel() for p in first.first.values()) > LARGE
    members = [first] if large else [first, Skeleton(config, shape, seed=1)]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(members), ROWS + 1, shape.window, shape.features, generator=generator)
    separate = MODELS[config.name].separate_losses
    calls, widths, work = _run_alone(first, x[0], shape, separate)
    alone = [_answer(member, rows[:ROWS]) for member, rows in zip(members, x, strict=True)]
    _run_together(members, x[:, :ROWS], torch.stack(alone))
    _check_other_values(config, shape, first.shapes, x[0, :ROWS], alone[0])
    return Fusion(None, calls, widths, work)


def _check_memory(module: nn.Module, shape: InputShape) -> None:
    """Raises for what is counted or gathered in plain attributes."""
    generator = torch.Generator().manual_seed(2)
    try:
        names = remembered(
            module, torch.randn(ROWS, shape.window, shape.features, generator=generator)
        )
    except Exception as error:
        raise _CannotFuseError(f"its forward fails: {_first_line(error)}") from error
    if names:
        raise _CannotFuseError(
            f"{', '.join(names)} changes with each batch and is no buffer (members would share it, "
            "and a trial that pauses loses it)"
        )


def _check_layers(module: nn.Module) -> None:
    """Raises for layers and parameters that are known not to do."""
    for name, layer in module.named_modules():
        kind = f"nn.{type(layer).__name__} ({name})" if name else f"nn.{type(layer).__name__}"
        if isinstance(layer, nn.RNNBase):
            raise _CannotFuseError(f"{kind} has no form for many members")
        if isinstance(layer, NORMS):
            raise _CannotFuseError(f"{kind} keeps statistics of the batches that it has seen")
        if isinstance(layer, OTHER_DROPOUT):
            raise _CannotFuseError(f"{kind} draws random numbers in another way than nn.Dropout")
    if not (parameters := dict(module.named_parameters())):
        raise _CannotFuseError("it has no parameters")
    for name, parameter in parameters.items():
        if parameter.dtype != torch.float32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise _CannotFuseError(f"the parameter {name} is {kind}, not float32")
        if not parameter.requires_grad:
            raise _CannotFuseError(f"the parameter {name} is not trained (requires_grad=False)")


def _run_alone(
    member: Skeleton, x: Tensor, shape: InputShape, separate: bool
) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """Returns the calls of dropout of a forward, their widths, and the work of a row."""
    module = member.module
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    counted: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda layer, _, out: counted.append(_work(layer, out)))
        for layer in module.modules()
    ]
    found = []
    for rows in (ROWS, ROWS + 1):
        member.feed.record()
        answer = _answer(member, x[:rows])
        if separate:
            answer = answer.mean(0)
        found.append(list(member.feed.seen or ()))
        member.feed.seen = None
        expected = (rows,) if shape.outputs == 1 else (rows, shape.outputs)
        if answer.shape != expected:
            was, wanted = tuple(answer.shape), tuple(expected)
            raise _CannotFuseError(f"it answers {was} to {rows} rows, not {wanted}")
    for hook in hooks:
        hook.remove()
    for name, buffer in module.named_buffers():
        if not torch.equal(buffer, before[name]):
            raise _CannotFuseError(f"its buffer {name} changes in training")
    few, more = found
    calls = tuple(name for name, _ in few)
    if calls != tuple(name for name, _ in more):
        raise _CannotFuseError("its dropout layers depend on the number of rows")
    for (name, small), (_, large) in zip(few, more, strict=True):
        if small * (ROWS + 1) != large * ROWS:
            raise _CannotFuseError(f"the dropout {name} drops something else than rows")
    widths = tuple(size // ROWS for _, size in few)
    return calls, widths, sum(counted) // (2 * ROWS + 1)


def _work(layer: nn.Module, out: Any) -> int:
    """Returns the multiplications of a layer; of attention those of its projections."""
    if isinstance(layer, nn.Linear):
        return out.numel() * layer.in_features
    if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        return out.numel() * layer.weight[0].numel()
    if isinstance(layer, ScaledLayer):
        return out.numel() * layer.linear.in_features
    if isinstance(layer, SeparateHeads):
        return out.numel() * layer.weight.shape[-1]
    if isinstance(layer, nn.MultiheadAttention):
        return 4 * out[0].numel() * layer.embed_dim
    return 0


def _answer(member: Skeleton, x: Tensor) -> Tensor:
    try:
        return member.module(x)
    except Exception as error:
        raise _CannotFuseError(f"its forward fails: {_first_line(error)}") from error


def _check_other_values(
    config: ModelConfig,
    shape: InputShape,
    shapes: dict[str, tuple[int, ...]],
    x: Tensor,
    expected: Tensor,
) -> None:
    """Raises where what members may differ in is more than a share of dropout."""
    for key, value in _others(config):
        other = Skeleton(replace(cast(Any, config), **{key: value}), shape)
        if other.shapes != shapes:
            raise _CannotFuseError(f"model/{key} changes the names or sizes of its parameters")
        if not torch.equal(_answer(other, x), expected):
            raise _CannotFuseError(f"members differ in model/{key}, which is no share of dropout")


def _others(config: ModelConfig) -> Iterator[tuple[str, Any]]:
    for name, known in _per_member(config).items():
        now = getattr(config, name)
        if isinstance(now, float):
            candidates = [known.low, known.high, now * 2 or 0.5, now / 2]
            values = [v for v in candidates if v is not None and _allows(known, v) and v != now]
            yield from ((name, float(value)) for value in values[:1])


def _allows(known: Hyperparameter, value: float) -> bool:
    high = known.high is None or value <= known.high
    above = known.above is None or value > known.above
    return high and above and (known.low is None or value >= known.low)


def _per_member(config: ModelConfig) -> dict[str, Hyperparameter]:
    return {n: known for n, known in hyperparameters(type(config)).items() if known.per_member}


def _run_together(members: list[Skeleton], x: Tensor, expected: Tensor) -> None:
    """Raises unless the members at once answer what each does alone, with gradients for all."""
    first = members[0]
    pairs = zip(*(member.first.values() for member in members), strict=True)
    leaves = [torch.stack(pair).requires_grad_() for pair in pairs]
    try:
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.simplefilter("error")
            answer = vmap(first, randomness="error")(leaves, x)
            gradients = torch.autograd.grad(answer.sum(), leaves, allow_unused=True)
    except Exception as error:
        raise _CannotFuseError(_in_words(error)) from error
    if not torch.allclose(answer, expected, rtol=1e-3, atol=1e-4):
        raise _CannotFuseError(
            "another seed changes more than its parameters, or it remembers earlier batches"
        )
    for name, gradient in zip(first.shapes, gradients, strict=True):
        if gradient is None:
            raise _CannotFuseError(f"the parameter {name} gets no gradient")


def _in_words(error: Exception) -> str:
    text = str(error)
    for sign, words in IN_WORDS.items():
        if sign in text:
            _, _, rest = text.partition("aten::")
            op = rest.split(".")[0].split(" ")[0] or "an operation"
            return words.format(op=op)
    return f"torch.func refuses it: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
