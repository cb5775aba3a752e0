"""A worker says how memory of a GPU is taken, unless the person has."""

import os

import pytest

from trainable.worker.gpu_memory import EXPANDABLE, NAMES, use_expandable_segments


@pytest.mark.parametrize("name", NAMES)
def test_what_the_person_has_set_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in NAMES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(name, "backend:cudaMallocAsync")
    use_expandable_segments()
    assert {n: os.environ.get(n) for n in NAMES if n in os.environ} == {
        name: "backend:cudaMallocAsync"
    }


def test_segments_are_expandable_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in NAMES:
        monkeypatch.setenv(each, "")  # so that it is set back after this test
        monkeypatch.delenv(each)
    use_expandable_segments()
    assert os.environ["PYTORCH_ALLOC_CONF"] == EXPANDABLE
