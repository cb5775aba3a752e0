"""Networks without a form by hand are in the table of models while these tests run."""

import pytest

from tests.fixtures.modules import NETWORKS
from tests.fixtures.networks import entry_of
from trainable.models import MODELS


@pytest.fixture(autouse=True)
def networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NETWORKS:
        monkeypatch.setitem(MODELS, name, entry_of(name))
