"""A model from its two files predicts what it predicted in training."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.fixtures.trainings import config, market, trained
from trainable import predict
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.data.dataset.windows import make_windows
from trainable.io.checksums import checked
from trainable.io.file_store import FileStore
from trainable.prediction import predictor


def assert_alike(made: np.ndarray, expected: np.ndarray) -> None:
    """The same but for rounding: training's batched products round differently."""
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)


def kept(folder: Path) -> tuple[TrialConfig, np.ndarray]:
    """A small trained model in `folder`, and its predictions on the validation rows."""
    each = config(data__window=3, data__features="price+volume", model__dropout=0.2)
    members, reports = trained([each], market())
    view = make_windows(market(), each.data)
    predict.save(FileStore.of(folder), each, members[0].best_weights, view, {"number": 4})
    predictions = reports[-1].predictions
    assert predictions is not None
    return each, predictions


def test_predictions_are_those_of_training(tmp_path: Path) -> None:
    each, expected = kept(tmp_path / "best")
    loaded = predict.load(tmp_path / "best")
    made = loaded.predict(market(), market().valid_rows)
    assert made.dtype == np.float32
    assert_alike(made, expected)
    assert loaded.config == each
    assert loaded.facts["number"] == 4
    assert loaded.facts["target_scale"] > 0
    assert sorted(file.name for file in (tmp_path / "best").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_columns_are_found_by_name_in_any_order(tmp_path: Path) -> None:
    _, expected = kept(tmp_path)
    turned = replace(
        market(),
        features=np.ascontiguousarray(market().features[:, ::-1]),
        feature_names=market().feature_names[::-1],
        feature_groups=market().feature_groups[::-1],
    )
    made = predict.load(tmp_path).predict(turned, market().valid_rows)
    assert_alike(made, expected)


def test_data_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    kept(tmp_path)
    model = predict.load(tmp_path)
    lacking = replace(market(), feature_names=("x", *market().feature_names[1:]))
    with pytest.raises(UserError, match=f"lacks the features {market().feature_names[0]}"):
        model.predict(lacking, market().valid_rows)
    with pytest.raises(UserError, match="fewer than 3 rows"):
        model.predict(market(), np.array([0]))
    assert model.predict(market(), market().valid_rows[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", "{"),
        ("config.json", "[1]"),
        ("config.json", "{}"),
        ("config.json", b"\xff\xfe{"),
        ("model.safetensors", "torn"),
        ("model.safetensors", None),
        ("config.json", None),
    ],
)
def test_damaged_files_are_the_persons_error(
    tmp_path: Path, file: str, content: str | bytes | None
) -> None:
    kept(tmp_path)
    path = tmp_path / file
    path.unlink()
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=str(tmp_path)):
        predict.load(tmp_path)


@pytest.mark.parametrize("key", ["facts", "scaler", "params"])
def test_a_lacking_part_and_another_shape_are_the_persons_error(tmp_path: Path, key: str) -> None:
    kept(tmp_path)
    content = checked(json.loads((tmp_path / "config.json").read_text()))
    lacking = {name: value for name, value in content.items() if name != key}
    (tmp_path / "config.json").write_text(json.dumps(lacking))
    with pytest.raises(UserError, match="not of a trained model"):
        predict.load(tmp_path)
    content["params"]["model/hidden_dims"] = "9"
    (tmp_path / "config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="not of a trained model"):
        predict.load(tmp_path)


def test_a_batch_split_over_blocks_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, expected = kept(tmp_path)
    monkeypatch.setattr(predictor, "ROWS", 50)
    made = predict.load(tmp_path).predict(market(), market().valid_rows)
    assert_alike(made, expected)


def test_weights_of_float64_are_stored_as_float32(tmp_path: Path) -> None:
    each = config(train__epochs=1)
    members, _ = trained([each], market(), dtype=torch.float64)
    view = make_windows(market(), each.data)
    predict.save(FileStore.of(tmp_path), each, members[0].best_weights, view, {})
    assert all(p.dtype == torch.float32 for p in predict.load(tmp_path).model.parameters())
