"""Whole searches of planted markets: what is kept of one, and what rules say of it."""

import json
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from benchmarks.truth import __main__ as command
from benchmarks.truth.markets import Book, Truth, make_market
from benchmarks.truth.skill import make
from benchmarks.truth.skill.judged import RULES, judge


def test_a_book_of_one_member_is_worth_what_the_member_is() -> None:
    dataset, truth = make_market("strong", 0)
    rng = np.random.default_rng(0)
    signal = truth.expected.ravel() / truth.expected.std()
    predictions = signal + 2 * rng.standard_normal((3, signal.size))
    sharpes, book = truth.of(predictions)[0], truth.book(predictions)
    assert [book.sharpe([k]) for k in range(3)] == pytest.approx(sharpes, rel=1e-9)
    assert book.sharpe([0, 1, 2]) > max(sharpes), "their noise is their own"
    assert book.sharpe([]) == 0.0
    assert dataset.name == "strong-0"


def test_a_book_in_equal_shares_is_the_mean_of_its_members_positions() -> None:
    rng = np.random.default_rng(1)
    expected = 3e-4 * rng.standard_normal((300, 8))
    truth = Truth(expected, own_variance=0.012**2, cost=0.0)
    predictions = expected.ravel() + 3e-4 * rng.standard_normal((2, expected.size))
    weights = [_weights(each.reshape(expected.shape)) for each in predictions]
    mean = np.mean(weights, axis=0)
    net = (mean * expected).sum(axis=1)
    noise = 0.012**2 * np.square(mean).sum(axis=1).mean()
    ratio = net.mean() / np.sqrt(net.var() + noise) * np.sqrt(252)
    assert truth.book(predictions).sharpe([0, 1]) == pytest.approx(ratio)


def _weights(predictions: np.ndarray) -> np.ndarray:
    centred = predictions - predictions.mean(axis=1, keepdims=True)
    return centred / np.abs(centred).sum(axis=1, keepdims=True)


def test_a_search_is_kept_with_its_truth_and_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make, "EPOCHS", 5)
    tiny = {"trials": 4, "finalist_seeds": 1, "pruning": "none", "report": False}
    monkeypatch.setitem(make.SEARCHES, "default", tiny)
    assert "default strong-0" in make.make(tmp_path, "default", "strong", 0)
    folder = make.folder_of(tmp_path, "default", "strong", 0)
    assert not (folder / "trials").exists(), "the models are not kept"
    record = json.loads((folder / make.TRUTH).read_text())
    book = Book(np.array(record["mean"]), np.array(record["cov"]))
    assert book.covariance.shape == (len(record["numbers"]),) * 2
    judged = judge(folder)
    ForkingPickler.dumps(judged)  # other processes send it
    assert judged.kind == "strong"
    assert set(judged.p) == set(RULES)
    assert all(0 < p <= 1 for p in judged.p.values())
    first = judged.sharpes["first, truth"]
    assert first in [pytest.approx(book.sharpe([k])) for k in range(len(record["numbers"]))]
    words = [str(tmp_path), "--jobs", "1", "--out", str(tmp_path / "found.json")]
    assert command.main(words) == 0
    assert "this project's verdict" in capsys.readouterr().out
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["worth"]["strong"]["mean"] == pytest.approx(judged.sharpes)
