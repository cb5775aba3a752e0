"""Networks without a form by hand are in the table of models while these tests run."""

import pytest

from benchmarks.step.networks import entry_of
from tests.fixtures.modules import NETWORKS
from trainable.models import MODELS


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NETWORKS:
        monkeypatch.setitem(MODELS, name, entry_of(name))
