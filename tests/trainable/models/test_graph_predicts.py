"""The graph network from data with gaps to predictions from its two files."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.markets import make_market, without
from tests.fixtures.trainings import trained
from tests.trainable.models.test_graph import graph_config
from trainable import predict
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.data.dataset.build import build_dataset, evaluation_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import make_windows
from trainable.data.settings import DataSettings
from trainable.io.file_store import FileStore
from trainable.prediction import predictor
from trainable.validation import check_all

SEVERAL = {
    "loss__name": "weighted",
    "loss__horizons": "1-5",
    "loss__phases": '{"0": {"huber": 1.0, "sharpe": 0.2}}',
}


@cache
def gappy() -> Dataset:
    """Six symbols with missing bars; one is listed late, one ends."""
    made = make_market(400, 6)
    hidden = np.random.default_rng(5).random(made.present.shape) < 0.05
    hidden[:100, 1] = True
    hidden[320:, 2] = True
    dataset = build_dataset(without(made, hidden), DataSettings(), 3)
    return replace(dataset, symbol_group=np.array([0, 0, 1, 1, 2, -1], np.int32))


def kept(folder: Path, each: TrialConfig) -> np.ndarray:
    """A trained model in `folder`, and its predictions on the validation rows."""
    check_all([each], gappy())
    members, reports = trained([each], gappy())
    view = make_windows(gappy(), each.data)
    predict.save(FileStore.of(folder), each, members[0].best_weights, view, {"horizon": 1})
    predictions = reports[-1].predictions
    assert predictions is not None
    return predictions


def test_predictions_do_not_depend_on_what_other_trials_of_the_search_need(tmp_path: Path) -> None:
    """The data to predict on have the model's own features and window alone."""
    made = make_market(400, 6)
    hidden = np.random.default_rng(5).random(made.present.shape) < 0.05
    hidden[:240, 1] = True
    market = without(made, hidden)
    searched = build_dataset(market, DataSettings(), 30)
    each = graph_config(data__window=3, data__features="calendar", train__epochs=1)
    members, reports = trained([each], searched)
    view = make_windows(searched, each.data)
    predict.save(FileStore.of(tmp_path), each, members[0].best_weights, view, {"horizon": 1})
    model = predict.load(tmp_path)
    own = evaluation_dataset(
        market, DataSettings(), model.scaler.names, max_window=3, first=searched.split.valid[0]
    )
    rows = searched.valid_rows
    at = searched.time[rows], searched.symbol[rows]
    cells = {(own.time[row], own.symbol[row]): row for row in range(len(own.time))}
    same = [cells[time, symbol] for time, symbol in zip(*at, strict=True)]
    expected = reports[-1].predictions
    assert expected is not None
    np.testing.assert_allclose(model.predict(own, np.array(same)), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("loss", [{}, SEVERAL], ids=["one", "several"])
def test_predictions_on_data_with_gaps_are_those_of_training(
    tmp_path: Path, loss: dict[str, str]
) -> None:
    each = graph_config(data__window=3, train__epochs=2, train__steps_per_epoch=5, **loss)
    expected = kept(tmp_path, each)
    model, rows = predict.load(tmp_path), gappy().valid_rows
    assert expected.std() > 0
    np.testing.assert_allclose(model.predict(gappy(), rows), expected, rtol=1e-4, atol=1e-6)
    some = np.arange(len(rows))[gappy().symbol[rows] == 4][::3]
    alone = model.predict(gappy(), rows[some])
    np.testing.assert_allclose(alone, expected[some], rtol=1e-4, atol=1e-6)
    assert model.predict(gappy(), rows[:0]).shape == (0,)


def test_days_are_predicted_the_same_however_many_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = graph_config(data__window=3, train__epochs=1, train__steps_per_epoch=2)
    expected = kept(tmp_path, each)
    monkeypatch.setattr(predictor, "ROWS", 1)
    made = predict.load(tmp_path).predict(gappy(), gappy().valid_rows)
    np.testing.assert_allclose(made, expected, rtol=1e-4, atol=1e-6)


def test_a_row_without_its_window_is_refused(tmp_path: Path) -> None:
    kept(tmp_path, graph_config(data__window=3, train__epochs=1, train__steps_per_epoch=2))
    with pytest.raises(UserError, match="fewer than 3 rows"):
        predict.load(tmp_path).predict(gappy(), np.array([0]))
