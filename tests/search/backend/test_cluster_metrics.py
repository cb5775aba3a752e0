"""Where Prometheus and Grafana find what they need: here, of this cluster, or nowhere."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.backend.cluster import metrics_folder


@pytest.fixture
def session(tmp_path: Path) -> Path:
    made = tmp_path / "session_2026-11-20_1"
    (made / "metrics").mkdir(parents=True)
    return made


def found(session: Path) -> Path | None:
    context: Any = SimpleNamespace(address_info={"session_dir": str(session)})
    return metrics_folder(context)


def test_the_short_name_is_said_where_it_is_this_session(session: Path) -> None:
    latest = session.with_name("session_latest")
    assert found(session) == session / "metrics"
    latest.symlink_to(session)
    assert found(session) == latest / "metrics"
    other = session.with_name("session_2026-11-20_2")
    (other / "metrics").mkdir(parents=True)
    assert found(other) == other / "metrics"


def test_nothing_is_said_without_the_files(session: Path) -> None:
    (session / "metrics").rmdir()
    assert found(session) is None
    assert found(session / "of another machine") is None
