"""The graph network: what it must not see, what it must, and how system C failed."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.fixtures.markets import changed_after, holes, make_market
from tests.fixtures.pairs import market_of_pairs
from tests.fixtures.trainings import config, finish, market, starts
from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.data.dataset.build import build_dataset
from trainable.data.settings import DataSettings
from trainable.models import InputShape, build_model, count_parameters
from trainable.models.base import Days
from trainable.models.graph import ENCODERS, Graph, GraphConfig
from trainable.models.layers.graph_attention import GraphAttention
from trainable.models.layers.selection import VariableSelection
from trainable.models.layers.window_norm import LEAST, WindowNorm
from trainable.training.loop import Training
from trainable.validation import check_all, validate

D, N, W, F, LINKS = 3, 5, 4, 3, 2
SMALL: dict[str, Any] = {"hidden": 8, "attention_heads": 2, "graph_heads": 2}


def built(shape: InputShape | None = None, **values: Any) -> Graph:
    """A small float64 network in evaluation, away from its initial weights."""
    model = build_model(GraphConfig(**(SMALL | values)), shape or InputShape(W, F), 0).double()
    draw = torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        change = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
        parameter.data += 0.1 * change
    assert isinstance(model, Graph)
    return model.eval()


def some_days(present: Tensor | None = None) -> Days:
    """Days on which each symbol is connected with itself and with the next two."""
    here = torch.ones(D, N, dtype=torch.bool) if present is None else present
    own = torch.arange(N).view(-1, 1)
    neighbours = torch.cat([own, (own + 1) % N, (own + 2) % N], 1).expand(D, N, 1 + LINKS)
    theirs = here.unsqueeze(1).expand(-1, N, -1).gather(2, neighbours)
    edges = torch.rand(D, N, 1 + LINKS, 2, generator=torch.Generator().manual_seed(2)).double()
    return Days(here, neighbours, edges, theirs & here.unsqueeze(-1))


def inputs(seed: int = 0) -> Tensor:
    return torch.randn(D * N, W, F, generator=torch.Generator().manual_seed(seed)).double()


SOME_ABSENT = torch.tensor([[1, 1, 0, 1, 1], [0, 1, 1, 1, 0], [0, 0, 0, 1, 0]], dtype=torch.bool)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("heads", [(("return", 1),), (("return", 2), ("quantile", 3))])
def test_it_answers_every_head_and_learns_in_every_part(
    encoder: str, heads: tuple[tuple[str, int], ...]
) -> None:
    model = built(InputShape(W, F, heads), encoder=encoder).train()
    answer = model(inputs(), some_days(SOME_ABSENT))
    outputs = sum(size for _, size in heads)
    assert answer.shape == ((D * N,) if outputs == 1 else (D * N, outputs))
    answer.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).any(), name
    assert [name for name, _ in model.named_children() if name.startswith("head")] == [
        f"head_{name}" for name, _ in heads
    ]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_it_trains_under_autocast(encoder: str) -> None:
    model = built(encoder=encoder).float().train()
    days = some_days(SOME_ABSENT)
    in_float32 = Days(days.present, days.neighbours, days.edges.float(), days.connected)
    with torch.autocast("cpu", torch.bfloat16):
        answers = model(inputs().float(), in_float32)
    answers.backward(torch.ones_like(answers))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_absent_symbols_do_not_change_the_others(encoder: str) -> None:
    model, days, x = built(encoder=encoder), some_days(SOME_ABSENT), inputs()
    other = torch.where(SOME_ABSENT.flatten().view(-1, 1, 1), x, 100 * inputs(7))
    seen = SOME_ABSENT.flatten()
    assert torch.equal(model(x, days)[seen], model(other, days)[seen])


def test_the_order_of_symbols_does_not_matter() -> None:
    model, days, x = built(), some_days(SOME_ABSENT), inputs()
    order = torch.tensor([3, 0, 4, 1, 2])
    place = torch.argsort(order)
    turned = Days(
        days.present[:, order],
        place[days.neighbours[:, order]],
        days.edges[:, order],
        days.connected[:, order],
    )
    moved = x.unflatten(0, (D, N))[:, order].flatten(0, 1)
    expected = model(x, days).view(D, N)[:, order].flatten()
    torch.testing.assert_close(model(moved, turned), expected)


def test_a_day_does_not_depend_on_the_other_days_of_the_batch() -> None:
    model, days, x = built(), some_days(SOME_ABSENT), inputs()
    together = model(x, days).view(D, N)
    for d in range(D):
        one = Days(*(part[d : d + 1] for part in days))
        torch.testing.assert_close(model(x.view(D, N, W, F)[d], one), together[d])


def test_a_neighbour_counts_and_a_stranger_does_not() -> None:
    model, days = built(graph_layers=1), some_days()
    x = inputs()
    other = x.clone().view(D, N, W, F)
    other[0, 2] += 1
    changed = (model(x, days) != model(other.flatten(0, 1), days)).view(D, N)
    assert changed[0].tolist() == [True, True, True, False, False]
    assert not changed[1:].any()


def as_written(layer: GraphAttention, h: Tensor, days: Days) -> Tensor:
    """The attention of Brody, Alon, Yahav (2022), symbol by symbol."""
    found = torch.zeros_like(h)
    size = h.shape[-1] // layer.heads
    for d, i in np.ndindex(h.shape[:2]):
        links = [k for k in range(days.neighbours.shape[-1]) if days.connected[d, i, k]]
        for head in range(layer.heads):
            part = slice(head * size, (head + 1) * size)
            values = [layer.source(h[d, days.neighbours[d, i, k]])[part] for k in links]
            scores = []
            for k, value in zip(links, values, strict=True):
                edge = layer.edge(days.edges[d, i, k])[part]
                z = layer.target(h[d, i])[part] + value + edge
                scores.append((torch.where(z > 0, z, 0.2 * z) * layer.score[head]).sum())
            if links:
                shares = torch.stack(scores).softmax(0)
                found[d, i, part] = sum(
                    (s * v for s, v in zip(shares, values, strict=True)), torch.zeros(size)
                )
    return layer.norm(h + nn.functional.elu(found))


def test_graph_attention_is_gatv2() -> None:
    layer = GraphAttention(6, 3, 0.0, 0.5).double().eval()
    h = torch.randn(D, N, 6, generator=torch.Generator().manual_seed(0)).double()
    days = some_days(SOME_ABSENT)
    torch.testing.assert_close(layer(h, days), as_written(layer, h, days))


def test_without_a_connection_nothing_is_added_and_nothing_is_nan() -> None:
    layer = GraphAttention(6, 3, 0.0, 0.0).double()
    h = torch.randn(D, N, 6, dtype=torch.float64, requires_grad=True)
    days = some_days(torch.zeros(D, N, dtype=torch.bool))
    assert not days.connected.any()
    made = layer(h, days)
    torch.testing.assert_close(made, layer.norm(h))
    made.sum().backward()
    assert h.grad is not None
    assert torch.isfinite(h.grad).all()


def test_dropped_edges_leave_each_symbol_to_itself() -> None:
    layer = GraphAttention(6, 3, 0.0, 1.0).double()
    h, days = torch.randn(D, N, 6).double(), some_days()
    itself = days.connected & (torch.arange(1 + LINKS) == 0)
    alone = Days(days.present, days.neighbours, days.edges, itself)
    assert torch.equal(layer.train()(h, days), layer.eval()(h, alone))
    assert not torch.equal(layer(h, days), layer(h, alone))


def test_the_window_is_normalised_by_all_its_rows_and_no_other() -> None:
    layer, x = WindowNorm(F).double(), inputs()
    nn.init.constant_(layer.share, -50.0)
    values = x.numpy()
    deviation = np.sqrt(values.var(axis=1, keepdims=True) + LEAST)
    expected = (values - values.mean(axis=1, keepdims=True)) / deviation
    np.testing.assert_allclose(layer(x).detach().numpy(), expected)
    nn.init.constant_(layer.share, 50.0)
    torch.testing.assert_close(layer(x), x)


def test_the_cost_of_the_selection_is_in_the_gradient() -> None:
    def gradients(l1: float, cost: float) -> list[Tensor]:
        layer = VariableSelection(F, 2, 4, 0.0, l1).double()
        draw = torch.Generator().manual_seed(0)
        for parameter in layer.parameters():
            parameter.data = torch.randn(parameter.shape, generator=draw).double()
        seen = SOME_ABSENT.flatten()
        loss = layer(inputs(), seen).square().sum() + cost * layer.weights(inputs()[seen]).mean()
        loss.backward()
        return [p.grad for p in layer.parameters() if p.grad is not None]

    for mine, theirs in zip(gradients(0.7, 0.0), gradients(0.0, 0.7), strict=True):
        torch.testing.assert_close(mine, theirs)
    assert any(
        not torch.equal(a, b) for a, b in zip(gradients(0.7, 0), gradients(0, 0), strict=True)
    )


def test_system_c_size() -> None:
    """About 5.6 million there; here the selection's weights are made of the features themselves.

    There they are made of what the features' own networks say, a matrix of 1.3 million more.
    """
    four_horizons = InputShape(20, 82, (("return", 4),))
    assert count_parameters(GraphConfig(hidden=256, attention_heads=8), four_horizons) == 4_111_016


@pytest.mark.parametrize(
    ("field", "heads"), [("attention_heads", 3), ("graph_heads", 3), ("graph_heads", 16)]
)
def test_heads_that_do_not_divide_the_width_are_refused(field: str, heads: int) -> None:
    each = from_params({"model/name": "graph", "model/hidden": 8, f"model/{field}": heads})
    with pytest.raises(
        UserError, match=f"model/hidden=8 is not divisible by model/{field}={heads}"
    ):
        validate(each)


def test_later_layers_have_half_as_many_heads() -> None:
    assert GraphConfig(hidden=64, graph_heads=4, graph_layers=4).heads_of_layers == (4, 2, 1, 1)
    assert GraphConfig(hidden=25, graph_heads=5, graph_layers=2).heads_of_layers == (5, 1)
    assert GraphConfig(graph_layers=0).heads_of_layers == ()


def graph_config(**changes: Any) -> Any:
    small = {f"model__{name}": value for name, value in SMALL.items()}
    usual = {"model__name": "graph", "loss__name": "huber", "train__batch_size": 24}
    return config(**(small | usual | changes))


def seen_by_heads(training: Training) -> list[Tensor]:
    """What the head of a training's model sees in the evaluation of the validation days."""
    model: nn.Module = training.executor.model  # type: ignore[attr-defined]
    seen: list[Tensor] = []
    hook = model.get_submodule("head_return").register_forward_hook(
        lambda module, args, out: seen.append(args[0])
    )
    training.evaluator.evaluate(training.executor, [m.config for m in training.members])
    hook.remove()
    return seen


def test_system_c2_the_head_never_sees_zeros_and_predictions_differ() -> None:
    """There, zero padding and "last step only" fed exact zeros to the head: one prediction."""
    training = Training(starts([graph_config(data__window=3)]), market())
    rows = torch.cat(seen_by_heads(training))
    assert (rows.abs().amax(1) > 0).all()
    assert len(rows.unique(dim=0)) > 0.9 * len(rows)
    (report,) = training.advance()
    assert report.values["sharpe"] is not None
    (result,) = training.evaluator.evaluate(training.executor, [training.members[0].config])
    assert not result.constant
    assert result.spread > 0


def test_the_narrowest_network_sees_its_features() -> None:
    """LayerNorm leaves nothing of one value; a feature's own network has four at least."""
    layer = build_model(graph_config(model__hidden=4).model, InputShape(W, F), 0).get_submodule(
        "selection"
    )
    x = torch.randn(2, W, F)
    with torch.no_grad():
        first, second = layer.eval()(x, torch.ones(2, dtype=torch.bool))
    assert float((first - second).abs().max()) > 1e-3


def test_one_symbol_has_no_graph_and_is_refused() -> None:
    with pytest.raises(UserError, match="model/name=graph relates the symbols of a day") as raised:
        check_all([graph_config()], market(1, 600))
    assert "\n" not in str(raised.value)


def test_a_batch_of_less_than_two_days_is_refused_with_what_works() -> None:
    wrong = graph_config(train__batch_size=11)
    with pytest.raises(UserError, match=r"train/batch_size=11 .* fix.train/batch_size=12 works"):
        check_all([wrong], market())
    check_all([graph_config(train__batch_size=12)], market())


def correlation_found(changes: dict[str, Any]) -> float:
    """The highest validation IC of a training on the market of pairs."""
    values = {
        "model__hidden": 16, "model__dropout": 0.0, "model__edge_dropout": 0.0,
        "model__encoder": "attention", "model__graph_window": 30, "model__graph_neighbours": 4,
        "optimizer__lr": 1e-2, "train__batch_size": 192, "train__steps_per_epoch": 40,
        "train__epochs": 4, "schedule__name": "constant",
    }  # fmt: skip
    training = Training(starts([graph_config(**(values | changes))]), market_of_pairs())
    return max(float(report.values["ic"] or 0.0) for report in finish(training))


def test_a_signal_in_a_neighbours_past_return_is_found_and_only_by_the_graph() -> None:
    assert correlation_found({}) > 0.12
    assert correlation_found({"model__graph_layers": 0}) < 0.05


def test_days_are_shown_whole_whatever_row_is_learnt_from() -> None:
    dataset = market()
    training = Training(starts([graph_config(data__window=3)]), dataset)
    bar = int(dataset.split.train[1]) - 1  # its labels reach into the validation
    rows = np.flatnonzero(dataset.time == bar)
    assert not np.isin(rows, dataset.train_rows).any()
    grid = torch.full((2 * 6,), -1)
    grid[:6] = torch.from_numpy(dataset.valid_rows[:6])
    grid[6:] = torch.from_numpy(np.flatnonzero(dataset.time == bar - 1))
    grid[7] = -1
    batch = training.source.gather(grid, lambda x: x)
    assert batch.days is not None
    assert batch.days.present.all()
    assert (batch.x[7] != 0).any()
    assert batch.targets.mask is not None
    assert not batch.targets.mask[7]


def test_no_later_price_changes_an_answer() -> None:
    made, settings = holes(make_market(400, 6)), DataSettings()
    before = build_dataset(made, settings, 3)
    bar = before.split.valid[0] + 20
    after = build_dataset(changed_after(made, bar), settings, 3)
    each = graph_config(data__window=3)
    answers = []
    for dataset in (before, after):
        training = Training(starts([each]), dataset)
        (valid,) = training.evaluator.evaluate(training.executor, [each])
        rows = dataset.valid_rows
        known = dict(zip(zip(dataset.time[rows], dataset.symbol[rows], strict=True),
                         valid.predictions, strict=True))  # fmt: skip
        answers.append({cell: value for cell, value in known.items() if cell[0] <= bar})
    assert len(answers[0]) > 60
    assert answers[0] == answers[1]
