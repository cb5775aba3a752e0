"""A dashboard that says it is at home, but listens for other machines: the kernel's table tells."""

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from search.backend import security
from trainable.cli.errors import UserError

PORT = 8265
HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
LISTENS, CONNECTED = "0A", "01"
HERE4, ALL4, OTHER4 = "0100007F", "00000000", "0500000A"  # 127.0.0.1, 0.0.0.0, 10.0.0.5
HERE6, ALL6 = "00000000000000000000000001000000", "0" * 32  # ::1, ::
MAPPED = "0000000000000000FFFF00000100007F"  # ::ffff:127.0.0.1

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's table of sockets")


def line(address: str, port: int, state: str) -> str:
    return f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 0 0 1\n"


def tables(monkeypatch: pytest.MonkeyPatch, v4: str = "", v6: str = "") -> None:
    """Has the kernel say what listens on this machine."""
    said = {"/proc/net/tcp": HEADER + v4, "/proc/net/tcp6": HEADER + v6}
    plain = Path.read_text

    def read(self: Path, *args: Any, **more: Any) -> str:
        return said[str(self)] if str(self) in said else plain(self, *args, **more)

    monkeypatch.setattr(Path, "read_text", read)


@pytest.mark.parametrize(
    ("v4", "v6"),
    [
        (line(ALL4, PORT, LISTENS), ""),
        (line(OTHER4, PORT, LISTENS), ""),
        ("", line(ALL6, PORT, LISTENS)),
        (line(HERE4, PORT, LISTENS), line(ALL6, PORT, LISTENS)),
        (line(HERE4, 1, LISTENS) + line(ALL4, PORT, LISTENS), ""),
    ],
)
def test_who_listens_beyond_this_machine_is_seen(
    v4: str, v6: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables(monkeypatch, v4, v6)
    with pytest.raises(UserError, match=r"for others than its own machine.*open_cluster=true"):
        security.refuse_exposed("127.0.0.1:6379", f"127.0.0.1:{PORT}")


@pytest.mark.parametrize(
    ("v4", "v6"),
    [
        ("", ""),
        (line(HERE4, PORT, LISTENS), line(HERE6, PORT, LISTENS)),
        ("", line(MAPPED, PORT, LISTENS)),
        (line(ALL4, PORT + 1, LISTENS), line(ALL6, PORT + 1, LISTENS)),
        (line(OTHER4, PORT, CONNECTED), ""),
    ],
)
def test_who_listens_here_only_is_fine(v4: str, v6: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tables(monkeypatch, v4, v6)
    security.refuse_exposed("127.0.0.1:6379", f"127.0.0.1:{PORT}")


def test_a_real_listener_is_seen() -> None:
    for host in ("0.0.0.0", "127.0.0.1"):
        with socket.socket() as server:
            server.bind((host, 0))
            server.listen()
            dashboard = f"127.0.0.1:{server.getsockname()[1]}"
            if host == "127.0.0.1":
                security.refuse_exposed("127.0.0.1:6379", dashboard)
                continue
            with pytest.raises(UserError, match="for others than its own machine"):
                security.refuse_exposed("127.0.0.1:6379", dashboard)


def test_of_a_cluster_elsewhere_our_own_table_says_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tables(monkeypatch, line(ALL4, PORT, LISTENS))
    security.refuse_exposed("10.0.0.5:6379", f"127.0.0.1:{PORT}")
