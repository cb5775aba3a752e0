"""Who may enter a cluster, asked of a server that answers as Ray's GCS does; see test_cluster."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from search.backend import security
from search.backend.local_ray import LocalRay
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError

TOKEN = "f" * 64


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person without any token."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@contextmanager
def served(allows: Callable[[str | None], grpc.StatusCode]) -> Iterator[str]:
    """A server on loopback that gives everybody its health; yields HOST:PORT."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
            details = handler_call_details
            shown = dict(details.invocation_metadata).get("authorization")

            def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
                code = grpc.StatusCode.OK if details.method == security.HEALTH else allows(shown)
                if code is not grpc.StatusCode.OK:
                    context.abort(code, "no")
                return b""

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def everybody(shown: str | None) -> grpc.StatusCode:
    return grpc.StatusCode.OK


def with_token(shown: str | None) -> grpc.StatusCode:
    right = shown == f"Bearer {TOKEN}"
    return grpc.StatusCode.OK if right else grpc.StatusCode.UNAUTHENTICATED


def token_in(file: Path, text: str = TOKEN, mode: int = 0o600) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)
    return file


def test_who_lets_everybody_in_is_refused_unless_wanted() -> None:
    with served(everybody) as address:
        with pytest.raises(UserError, match=r"asks for no token.*open_cluster=true"):
            security.admit(address, open_cluster=False)
        assert security.admit(address, open_cluster=True) is False


@pytest.mark.parametrize("text", [TOKEN, f"{TOKEN}\n"])
def test_the_token_is_found_in_each_of_its_places(
    text: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(with_token) as address:
        with pytest.raises(UserError, match=r"there is none in RAY_AUTH_TOKEN or .*/auth_token"):
            security.admit(address, open_cluster=False)
        token_in(home / ".ray" / "auth_token", text)
        assert security.admit(address, open_cluster=False) is True
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token_in(home / "mine", "wrong")))
        with pytest.raises(UserError, match=r"/mine is not that of this cluster"):
            security.admit(address, open_cluster=False)
        monkeypatch.setenv("RAY_AUTH_TOKEN", text)
        assert security.admit(address, open_cluster=False) is True


@pytest.mark.parametrize("wrong", ["wrong", "wröng", "two\nlines", f"{TOKEN}{TOKEN}"])
def test_a_wrong_token_is_said_at_once_and_not_repeated(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", wrong)
    with served(with_token) as address, pytest.raises(UserError, match="is not that of") as error:
        security.admit(address, open_cluster=True)
    assert wrong not in str(error.value)


def test_who_does_not_say_is_refused() -> None:
    with (
        served(lambda shown: grpc.StatusCode.UNAVAILABLE) as address,
        pytest.raises(UserError, match=r"does not say who may enter \(UNAVAILABLE\)"),
    ):
        security.admit(address, open_cluster=True)


def test_with_certificates_nobody_else_gets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with served(everybody) as address:
        assert security.admit(address, open_cluster=False) is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666, 0o620])
def test_a_token_file_that_others_can_read_is_closed_and_that_is_said(
    mode: int, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = token_in(home / ".ray" / "auth_token", mode=mode)
    security.close_token_file(forgiving=False)
    assert file.stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr().err
    assert said.startswith(f"note: {file} holds the cluster's token")
    assert said.count("\n") == 1
    assert TOKEN not in said
    security.close_token_file(forgiving=False)
    assert capsys.readouterr().err == ""


def test_one_that_cannot_be_closed_is_refused_unless_wanted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = token_in(home / "secret", mode=0o444)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))

    def read_only(*args: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "chmod", read_only)
    with pytest.raises(UserError, match=r"mode 0444.*Read-only file system.*open_cluster=true"):
        security.close_token_file(forgiving=False)
    security.close_token_file(forgiving=True)


@pytest.mark.parametrize("content", [None, "", "  \n"])
def test_a_token_file_that_holds_none_is_said_before_ray_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    file = home / "typo"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    head = LocalRay(SearchSettings())
    with pytest.raises(UserError, match=r"^RAY_AUTH_TOKEN_PATH names .*/typo, .*makes its own"):
        head.start()
    assert head.folder is None


def test_the_token_file_of_our_own_ray_is_closed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = token_in(home / "mine", mode=0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(file))
    security.check_token_file()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_token_in_the_environment_needs_no_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = token_in(home / ".ray" / "auth_token", mode=0o644)
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    security.close_token_file(forgiving=False)
    assert file.stat().st_mode & 0o777 == 0o644  # it is not used


@pytest.mark.parametrize("dashboard", [None, "", "127.0.0.1:1", "localhost:1", "[::1]:1"])
def test_a_dashboard_at_home_is_fine(dashboard: str | None) -> None:
    security.refuse_exposed("10.0.0.5:6379", dashboard)


@pytest.mark.parametrize("dashboard", ["0.0.0.0:8265", "10.0.0.5:8265", "[::]:8265", "head:8265"])
def test_a_dashboard_for_others_is_refused(dashboard: str) -> None:
    with pytest.raises(UserError, match=r"for others than its own machine.*open_cluster=true"):
        security.refuse_exposed("10.0.0.5:6379", dashboard)


@pytest.mark.parametrize("address", ["nonsense", "h:99999", "h:-1", ":6379", "h:0", "h:1e3"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UserError, match="expected auto or HOST:PORT"):
        security.reach(address)
