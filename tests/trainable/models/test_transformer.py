"""transformer against torch's own encoder, its mask, its sizes and what is refused."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.models import InputShape, build_model, count_parameters
from trainable.models.layers.attention import EncoderLayer
from trainable.models.layers.positions import sinusoids
from trainable.models.transformer import TransformerConfig
from trainable.validation import validate

SHAPE = InputShape(5, 3)
SMALL = TransformerConfig(hidden=8, layers=2, attention_heads=2)


def inputs(rows: int = 6) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(rows, SHAPE.window, SHAPE.features, generator=draw, dtype=torch.float64)


def test_a_layer_is_torchs_encoder_layer() -> None:
    ours = EncoderLayer(8, 2, 32, dropout=0.0).double()
    theirs = nn.TransformerEncoderLayer(
        8, 2, 32, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    ).double()
    names = {
        "self_attn.in_proj_": "attention.inputs.",
        "self_attn.out_proj.": "attention.outputs.",
        "linear1.": "feed_forward.0.",
        "linear2.": "feed_forward.2.",
        "norm1.": "attention_norm.",
        "norm2.": "feed_forward_norm.",
    }
    own = ours.state_dict()
    theirs.load_state_dict(
        {t + part: own[o + part] for t, o in names.items() for part in ("weight", "bias")}
    )
    x = torch.randn(6, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = theirs(x)
    torch.testing.assert_close(ours(x), expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(ours(x, last=True), expected[:, -1:], rtol=1e-10, atol=1e-12)
    present = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)) < 0.6
    present[:, -1] = True
    expected = theirs.train()(x, src_key_padding_mask=~present)
    for last, rows in ((False, slice(None)), (True, slice(-1, None))):
        answers = ours(x, present, last)
        torch.testing.assert_close(answers, expected[:, rows], rtol=1e-10, atol=1e-12)


def test_sinusoids_are_those_of_the_paper() -> None:
    found = sinusoids(7, 5)
    for row in range(7):
        for column in range(5):
            angle = row / 10_000 ** ((column - column % 2) / 5)
            value = math.cos(angle) if column % 2 else math.sin(angle)
            assert found[row, column] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_mask_is_respected(pooling: str) -> None:
    model = build_model(replace(SMALL, pooling=pooling), SHAPE, 0).double().eval()
    x, present = inputs(), torch.ones(6, SHAPE.window, dtype=torch.bool)
    torch.testing.assert_close(model(x, present), model(x))
    present[:, :2] = False
    masked = model(x, present)
    assert not torch.allclose(masked, model(x))
    x[:, :2] = 1e6
    torch.testing.assert_close(model(x, present), masked)
    x.requires_grad_()
    model(x, present).sum().backward()
    assert x.grad is not None
    assert not x.grad[:, :2].any()
    assert x.grad[:, 2:].any()


def test_a_window_without_any_row_gives_a_finite_answer() -> None:
    for pooling in ("last", "mean"):
        model = build_model(replace(SMALL, pooling=pooling), SHAPE, 0).double()
        none = torch.zeros(6, SHAPE.window, dtype=torch.bool)
        answers = model(inputs(), none)
        answers.sum().backward()
        assert answers.isfinite().all()
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("positions", ["sinusoidal", "learned"])
def test_the_order_of_rows_matters(pooling: str, positions: str) -> None:
    config = replace(SMALL, pooling=pooling, positions=positions)
    model, x = build_model(config, SHAPE, 0).double().eval(), inputs()
    turned = torch.cat([x[:, :-1].flip(1), x[:, -1:]], 1)
    assert (model(x) - model(turned)).abs().min() > 1e-6


def test_checkpointing_changes_no_gradient() -> None:
    found = []
    for checkpointing in (False, True):
        config = replace(SMALL, dropout=0.3, checkpointing=checkpointing)
        model = build_model(config, SHAPE, 0).double().train()
        torch.manual_seed(4)
        answers = model(inputs())
        torch.manual_seed(5)  # what is drawn between must not matter
        answers.sum().backward()
        found.append((answers, [p.grad for p in model.parameters()]))
    (answers, gradients), (again, others) = found
    assert torch.equal(answers, again)
    assert all(g is not None and torch.equal(g, h) for g, h in zip(gradients, others, strict=True))


# The report gives sizes, not heads: three of 7 and 9 outputs and two of 8 give its very figures.
@pytest.mark.parametrize(
    ("hidden", "layers", "features", "heads", "count"),
    [
        (64, 2, 15, (("action", 3), ("return", 3), ("price", 1)), 107_591),
        (128, 4, 31, (("action", 3), ("return", 5), ("price", 1)), 822_793),
        (512, 8, 21, (("action", 3), ("return", 5)), 25_496_072),
    ],
)
def test_system_b_parameter_counts(
    hidden: int, layers: int, features: int, heads: tuple[tuple[str, int], ...], count: int
) -> None:
    config = TransformerConfig(hidden=hidden, layers=layers, attention_heads=8)
    assert count_parameters(config, InputShape(60, features, heads)) == count


def test_system_b1_512_is_not_divisible_by_12_heads_and_that_is_said_before_the_start() -> None:
    params = {"model/name": "transformer", "model/hidden": 512}
    validate(from_params({**params, "model/attention_heads": 16}))
    with pytest.raises(UserError) as raised:
        validate(from_params({**params, "model/attention_heads": 12}))
    assert str(raised.value) == (
        "model/hidden=512 is not divisible by model/attention_heads=12; "
        "fix.model/attention_heads=8 or fix.model/attention_heads=16 works"
    )


def test_each_head_is_a_component_of_its_own() -> None:
    several = InputShape(5, 3, (("return", 2), ("action", 3)))
    for shape, heads in ((SHAPE, {"head"}), (several, {"head_return", "head_action"})):
        model = build_model(SMALL, shape, 0)
        components = {name.split(".")[0] for name, _ in model.named_parameters()}
        assert {name for name in components if name.startswith("head")} == heads
