"""Checks who else may enter a running Ray cluster, before the search connects to it."""

import os
import socket
import stat
import sys
from ipaddress import ip_address
from pathlib import Path

import grpc

from trainable.cli.errors import UserError

REACH_S = 5.0  # seconds in which a cluster's address must answer
HEALTH = "/grpc.health.v1.Health/Check"  # answers everybody
NODES = "/ray.rpc.NodeInfoGcsService/GetAllNodeInfo"  # answers those who show the token
LISTENS = "0A"  # in proc_net_tcp(5)
LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")
TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
ALL_THE_SAME = "open_cluster=true uses it all the same"


def admit(address: str, open_cluster: bool) -> bool | None:
    """Says whether the cluster at HOST:PORT asks for a token, which is there; None: cannot be said.

    Args:
        address: of the cluster.
        open_cluster: accept a cluster without a token.

    Raises:
        UserError: no cluster answers, it lets everybody in, there is no token, or others may read
            the token's file.
    """
    reach(address)
    if encrypted():
        return None
    if asks_for_token(address):
        check_token(address)
        close_token_file(forgiving=open_cluster)
        return True
    if not open_cluster:
        raise UserError(
            f"address={address}: this cluster asks for no token: whoever reaches it can run "
            f"code on it; start its nodes with RAY_AUTH_MODE=token, or {ALL_THE_SAME}"
        )
    return False


def reach(address: str) -> None:
    """Raises UserError unless a Ray cluster answers at HOST:PORT, within seconds."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"address={address}: expected auto or HOST:PORT, such as 10.0.0.5:6379")
    try:
        socket.create_connection((host, int(port)), timeout=REACH_S).close()
    except OSError as error:
        raise UserError(
            f"address={address} does not answer ({error.strerror or error}); is the cluster up, "
            "and its port open? leave address out to use this machine"
        ) from error
    if encrypted():
        return
    # Ray would try for minutes to talk to a server that is not its own.
    if _answer(address, HEALTH) is not grpc.StatusCode.OK:
        raise UserError(
            f"address={address} is no Ray cluster: no Ray server answers there; "
            "the port of `ray start --head` is 6379 unless set"
        )


def encrypted() -> bool:
    """Says whether Ray is set to TLS: then both sides show a certificate, and no other gets in."""
    return os.environ.get("RAY_USE_TLS", "").lower() in ("1", "true")


def asks_for_token(address: str) -> bool:
    """Says whether the cluster at HOST:PORT turns away who shows no token.

    Raises:
        UserError: it does neither.
    """
    answer = _answer(address, NODES)
    if answer not in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED):
        raise UserError(f"address={address} does not say who may enter ({answer.name}); try again")
    return answer is grpc.StatusCode.UNAUTHENTICATED


def refuse_exposed(address: str, dashboard: str | None) -> None:
    """Raises UserError where a cluster's dashboard listens beyond its own machine.

    Args:
        address: of the cluster.
        dashboard: HOST:PORT; None or empty where there is none.
    """
    if not dashboard:
        return
    host, _, port = dashboard.rpartition(":")
    here = _is_loopback(address.rpartition(":")[0])
    if not _is_loopback(host) or (here and _listens_beyond(int(port))):
        raise UserError(
            f"address={address}: the dashboard of this cluster listens at {dashboard}, for others "
            "than its own machine; start its head with --dashboard-host=127.0.0.1 and reach it by "
            f"an SSH tunnel, or {ALL_THE_SAME}"
        )


def check_token(address: str) -> None:
    """Raises UserError unless there is a token, and the cluster takes it."""
    file = token_file()
    token, source = os.environ.get(TOKEN, "").strip(), TOKEN
    if not token:
        try:
            token, source = file.read_text(encoding="utf-8").strip(), str(file)
        except (OSError, UnicodeDecodeError):
            raise UserError(
                f"address={address}: this cluster asks for its token, and there is none in {TOKEN} "
                f"or {file}; copy that file from the cluster's head"
            ) from None
    # Ray would try for half a minute to get in with a wrong one.
    sound = token.isascii() and token.isprintable()
    if not sound or _answer(address, NODES, token) is grpc.StatusCode.UNAUTHENTICATED:
        raise UserError(
            f"address={address}: the token in {source} is not that of this cluster; set {TOKEN} to "
            "its token, or copy the file from its head"
        )


def token_file() -> Path:
    """Returns the file that Ray reads the token from, whether or not it is there."""
    given = os.environ.get(TOKEN_PATH)
    return Path(given) if given else Path.home() / ".ray" / "auth_token"


def check_token_file() -> None:
    """Raises UserError unless the token file that the environment names holds one, for us alone."""
    if os.environ.get(TOKEN):
        return
    file = token_file()
    try:
        held = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        held = ""
    if not held:
        raise UserError(
            f"{TOKEN_PATH} names {file}, which holds no token; `ray get-auth-token --generate` "
            f"writes one to ~/.ray/auth_token; without {TOKEN_PATH} the search makes its own"
        )
    close_token_file(forgiving=False)


def close_token_file(forgiving: bool) -> None:
    """Takes a token file's rights from all but its owner, and says so: Ray itself writes it 0644.

    Args:
        forgiving: a file that cannot be changed will do.

    Raises:
        UserError: others may read it, and that cannot be changed.
    """
    file = token_file()
    if os.environ.get(TOKEN) or not file.is_file():
        return
    mode = stat.S_IMODE(file.stat().st_mode)
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return
    try:
        file.chmod(0o600)
    except OSError as error:
        if forgiving:
            return
        raise UserError(
            f"{file} holds the cluster's token and others may read it (mode {mode:04o}), which "
            f"cannot be changed ({error.strerror}); point {TOKEN_PATH} at a copy of mode 0600, or "
            f"{ALL_THE_SAME}"
        ) from error
    print(
        f"note: {file} holds the cluster's token and others could read it (mode {mode:04o}); "
        "it is 0600 now",
        file=sys.stderr,
    )


def _answer(address: str, method: str, token: str | None = None) -> grpc.StatusCode:
    shown = None if token is None else (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(address) as channel:
        try:
            channel.unary_unary(method)(b"", timeout=REACH_S, metadata=shown)
        except grpc.RpcError as error:
            return error.code()  # type: ignore[attr-defined]
    return grpc.StatusCode.OK


def _listens_beyond(port: int) -> bool:
    """Says whether a program on this machine listens at a port for other machines; Linux only."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.is_file():
            continue
        for line in table.read_text(encoding="utf-8").splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            at, _, number = local.rpartition(":")
            if state == LISTENS and int(number, 16) == port and at not in LOOPBACK:
                return True
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
