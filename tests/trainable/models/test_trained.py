"""Every model of the table in the training loop, in its two files, and refused where it must be."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures.trainings import config, market, narrow, trained
from tests.trainable.models.test_conformance import TINY
from trainable import predict
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.data.dataset.windows import make_windows
from trainable.io.checksums import checked, with_checksum
from trainable.io.file_store import FileStore
from trainable.models import MODELS
from trainable.validation import check


def small(name: str, **changes: Any) -> TrialConfig:
    """A small configuration of a model on windows of three rows."""
    own = {f"model__{field}": value for field, value in TINY.get(name, {}).items()}
    return config(
        model__name=name,
        data__window=3,
        train__epochs=1,
        train__steps_per_epoch=4,
        **own,
        **changes,
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_trained_model_predicts_from_its_two_files(name: str, tmp_path: Path) -> None:
    each = small(name, model__dropout=0.2)
    check(each, market())
    members, reports = trained([each], market())
    view = make_windows(market(), each.data)
    predict.save(FileStore.of(tmp_path), each, members[0].best_weights, view, {})
    made = predict.load(tmp_path).predict(market(), market().valid_rows)
    expected = reports[-1].predictions
    assert expected is not None
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-5)
    assert any(key.startswith("grad_norm.") for report in reports for key in report.values)


def test_a_model_that_was_kept_before_groups_were_is_still_read(tmp_path: Path) -> None:
    each = small("mlp")
    members, _ = trained([each], narrow())
    predict.save(
        FileStore.of(tmp_path), each, members[0].best_weights, make_windows(narrow(), each.data), {}
    )
    expected = predict.load(tmp_path).predict(narrow(), narrow().valid_rows)
    file = tmp_path / "config.json"
    content = checked(json.loads(file.read_text()))
    assert content.pop("groups") == ["price"] * 3
    file.write_text(json.dumps(with_checksum(content)))
    made = predict.load(tmp_path).predict(narrow(), narrow().valid_rows)
    np.testing.assert_array_equal(made, expected)


def test_system_b1_a_width_that_heads_do_not_divide_is_refused_before_training() -> None:
    with pytest.raises(
        UserError, match="model/hidden=8 is not divisible by model/attention_heads=3"
    ):
        check(replace_heads(3), market())
    check(replace_heads(4), market())


def replace_heads(heads: int) -> TrialConfig:
    """A transformer of 8 values a row with so many heads of its attention."""
    each = small("transformer")
    model: Any = each.model
    return replace(each, model=replace(model, attention_heads=heads))


def test_an_ensemble_without_its_groups_is_refused_before_training() -> None:
    for groups in ("all", "price+volatility"):
        check(small("ensemble", data__features=groups), market())
    assert set(narrow().feature_groups) == {"price"}
    with pytest.raises(UserError, match="there are price features alone"):
        check(small("ensemble"), narrow())
    with pytest.raises(UserError, match="there are volatility features alone"):
        check(small("ensemble", data__features="volatility+calendar"), market())
