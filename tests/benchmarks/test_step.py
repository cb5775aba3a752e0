"""The benchmark of steps, tiny."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.step import __main__ as step
from benchmarks.step.convolutional import UsualTcn
from benchmarks.step.graph import DayItems, UsualGraph
from benchmarks.step.recurrent import UsualRecurrent
from benchmarks.step.transformer import UsualTransformer
from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.data.dataset.windows import make_windows
from trainable.models import InputShape, build_model
from trainable.models.graph import GraphConfig
from trainable.models.gru import GruConfig
from trainable.models.lstm import LstmConfig
from trainable.models.tcn import TcnConfig
from trainable.models.transformer import TransformerConfig
from trainable.training.batch_sampler import sample_days
from trainable.training.batches import BatchSource


def test_steps_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "step.json"
    words = "--shapes 8-4:16 --members 1,3 --seconds 0.02 --repeats 2 --dates 420 --device cpu"
    assert step.main([*words.split(), "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    rows = found["steps"]
    named = [(row["way"], row["members"]) for row in rows]
    alone = [("DataLoader + autograd", 1), ("tensors + autograd", 1), ("solo", 1), ("serial", 1)]
    assert named == [*alone, ("cohort", 1), ("cohort", 3)]
    for row in rows:
        assert 0 < row["low"] <= row["model_steps_per_s"] <= row["high"]
        assert row["us_per_model_step"] == pytest.approx(1e6 / row["model_steps_per_s"], rel=0.01)
    assert rows[0]["against_loader"] == 1
    assert found["picked"]["8-4:16"] in (2, 3)
    assert found["peak_mib"] > 100
    printed = capsys.readouterr().out
    assert "cohort 3" in printed
    assert "a search picks" in printed


@pytest.mark.parametrize(
    ("network", "ways"),
    [("tcn4x1w3:8", ["solo", "serial", "vmapped"]), ("graph4x1w3:40", ["solo"])],
)
def test_networks_over_windows_are_measured(network: str, ways: list[str], tmp_path: Path) -> None:
    out = tmp_path / "step.json"
    words = f"--shapes {network} --members 2 --seconds 0.02 --repeats 1 --dates 420 --device cpu"
    assert step.main([*words.split(), "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert [row["way"] for row in found["steps"]][2:] == ways
    assert all(row["model_steps_per_s"] > 0 for row in found["steps"])
    assert found["picked"] == {network: len(ways) // 2 + 1}


@pytest.mark.parametrize("encoder", ["lstm", "attention", "both"])
def test_the_usual_graph_network_answers_as_ours(encoder: str) -> None:
    """So both are the same network, and only the way to compute it is measured."""
    dataset = step.generated(420, 5)
    params = {"model/name": "graph", "model/hidden": 8, "model/encoder": encoder}
    config = from_params({**params, "data/window": 5, "train/batch_size": 40})
    windows = make_windows(dataset, config.data)
    assert isinstance(config.model, GraphConfig)
    items = DayItems(config.model, dataset, windows)
    source = BatchSource(dataset, windows, config)
    usual = UsualGraph(config.model, windows.features, 5).eval()
    ours = build_model(config.model, windows.shape, 0).eval()
    ours.load_state_dict(_as_ours(usual))
    rows = sample_days(dataset, windows, 40).grid[100:103]
    batch = source.gather(rows.flatten(), lambda x: x)
    days = zip(items[100], items[101], items[102], strict=True)
    x, mask, edges, y = (torch.stack(each) for each in days)
    torch.testing.assert_close(batch.targets.y, y.flatten())
    found = usual(x, mask, edges.half().float())[0].flatten()  # as ours are stored
    torch.testing.assert_close(found, ours(batch.x, batch.days), rtol=1e-4, atol=1e-5)


def test_the_usual_transformer_answers_as_ours() -> None:
    """So both are the same network, and only the way to compute it is measured."""
    config = TransformerConfig(hidden=16, layers=3, dropout=0.3)
    usual = UsualTransformer(config, features=5, window=7).double()
    ours = build_model(config, InputShape(features=5, window=7), 0).double()
    names = {
        "attention.inputs.": "self_attn.in_proj_",
        "attention.outputs.": "self_attn.out_proj.",
        "attention_norm.": "norm1.",
        "feed_forward_norm.": "norm2.",
        "feed_forward.0.": "linear1.",
        "feed_forward.2.": "linear2.",
        "layers.": "encoder.layers.",
    }
    theirs = usual.state_dict()
    found = {}
    for name in ours.state_dict():
        other = name.replace("norm.", "encoder.norm.") if name.startswith("norm.") else name
        for mine, its in names.items():
            other = other.replace(mine, its)
        found[name] = theirs[other.replace("head_return.", "head.")]
    ours.load_state_dict(found)
    x = torch.randn(4, 7, 5, dtype=torch.float64)
    torch.testing.assert_close(usual.eval()(x), ours.eval()(x), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(usual.train()(x).isfinite().all(), torch.tensor(True))
    shares = [
        [m.p for m in network.modules() if isinstance(m, torch.nn.Dropout) and m.p]
        for network in (usual, ours)
    ]
    assert shares[0] == shares[1]


@pytest.mark.parametrize("layers", [1, 2])
def test_the_usual_recurrent_networks_answer_as_ours(layers: int) -> None:
    """So both are the same network, and only the way to compute it is measured."""
    x = torch.randn(4, 7, 5, dtype=torch.float64)
    shape = InputShape(features=5, window=7)
    for config, order in (
        (GruConfig(hidden=6, layers=layers), (0, 1, 2)),
        (LstmConfig(hidden=6, layers=layers), (0, 1, 3, 2)),
    ):
        usual = UsualRecurrent(config, features=5).double()
        ours = build_model(config, shape, 0).double()
        rows = usual.rows
        found = {f"head.{part}": getattr(usual.head, part) for part in ("weight", "bias")}
        for i in range(layers):
            theirs = {
                name: torch.cat([getattr(rows, f"{name}_l{i}").chunk(len(order))[g] for g in order])
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
            found[f"layers.{i}.inputs.weight"] = theirs["weight_ih"]
            found[f"layers.{i}.recurrent.weight"] = theirs["weight_hh"]
            if isinstance(config, GruConfig):
                found[f"layers.{i}.inputs.bias"] = theirs["bias_ih"]
                found[f"layers.{i}.recurrent.bias"] = theirs["bias_hh"]
            else:
                found[f"layers.{i}.inputs.bias"] = theirs["bias_ih"] + theirs["bias_hh"]
        ours.load_state_dict(found)
        torch.testing.assert_close(usual.eval()(x), ours.eval()(x), rtol=1e-10, atol=1e-10)


def test_the_usual_convolutional_network_answers_as_ours() -> None:
    """So both are the same network, and only the way to compute it is measured."""
    config = TcnConfig(hidden=4, layers=3)
    usual = UsualTcn(config, features=5).double()
    ours = build_model(config, InputShape(features=5, window=11), 0).double()
    found = {}
    for name, own in ours.state_dict().items():
        theirs = usual.state_dict()[name.replace(".linear", "")]
        # Ours holds the rows that a convolution sees side by side, the oldest first.
        found[name] = theirs.movedim(-1, 1).reshape(own.shape) if theirs.dim() == 3 else theirs
    ours.load_state_dict(found)
    x = torch.randn(4, 11, 5, dtype=torch.float64)
    torch.testing.assert_close(usual.eval()(x), ours.eval()(x), rtol=1e-10, atol=1e-10)


def _as_ours(usual: UsualGraph) -> dict[str, Tensor]:
    """The weights of the usual network by the names of ours."""
    theirs = dict(usual.state_dict())
    same = ("encoded.", "graph.", "fusion.")
    found = {name: each for name, each in theirs.items() if name.startswith(same)}
    found |= {
        name.replace("head.", "head_return."): t for name, t in theirs.items() if "head." in name
    }
    found["window_norm.share"] = theirs["share"]

    def each(*layers: str) -> tuple[Tensor, Tensor]:
        def parts(kind: str) -> Tensor:
            rows = [[getattr(getattr(n, layer), kind) for layer in layers] for n in usual.networks]
            return torch.stack([torch.cat(row) for row in rows])

        return parts("weight").transpose(1, 2), parts("bias").unsqueeze(1)

    for ours, layers in (
        ("first", ("first", "passed")),
        ("hidden", ("hidden",)),
        ("gate", ("gate",)),
    ):
        found[f"selection.{ours}"], found[f"selection.{ours}_bias"] = each(*layers)
    for ours, layer in (
        ("weight_hidden", "weight.0"),
        ("weight", "weight.3"),
        ("outputs", "outputs"),
    ):
        for kind in ("weight", "bias"):
            found[f"selection.{ours}.{kind}"] = theirs[f"{layer}.{kind}"]
    if usual.encoder != "attention":

        def gates(x: Tensor) -> Tensor:
            enter, forget, candidate, leave = x.chunk(4)
            return torch.cat([enter, forget, leave, candidate])

        found["lstm.inputs.weight"] = gates(theirs["lstm.weight_ih_l0"])
        found["lstm.inputs.bias"] = gates(theirs["lstm.bias_ih_l0"] + theirs["lstm.bias_hh_l0"])
        found["lstm.recurrent.weight"] = gates(theirs["lstm.weight_hh_l0"])
    if usual.encoder != "lstm":
        found["attention.inputs.weight"] = theirs["attention.in_proj_weight"]
        found["attention.inputs.bias"] = theirs["attention.in_proj_bias"]
        for kind in ("weight", "bias"):
            found[f"attention.outputs.{kind}"] = theirs[f"attention.out_proj.{kind}"]
    return found


@pytest.mark.parametrize("text", ["64-32", "64-32:1", "64-x:32", "64:³", "tcn4x1:8", "none4x1w3:8"])
def test_shapes_are_checked(text: str) -> None:
    with pytest.raises(UserError):
        step.Shape.of(text)
