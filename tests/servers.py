"""Servers of our own on loopback: an S3 store that checks keys, a PostgreSQL with a password."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

import psycopg
import pytest

START_S = 60  # seconds in which a server answers
RIGHTS = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": RIGHTS})
SIGNED = (  # nobody checks it yet
    "AWS4-HMAC-SHA256 Credential=any/20260101/us-east-1/iam/aws4_request, "
    "SignedHeaders=host, Signature=0"
)


@dataclass(frozen=True)
class ObjectStore:
    """An S3-compatible server, the one key that it knows, that key's secret, and its process."""

    port: int
    key: str
    secret: str
    pid: int | None = None

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Lets the server answer nobody when the block begins; with its end it is back."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def url(self, path: str, secret: str | None = None, create: bool = True) -> str:
        """Returns the URL of a bucket and folder."""
        secret = quote(secret or self.secret, safe="")
        return (
            f"s3://{self.key}:{secret}@{path}?scheme=http&endpoint_override=127.0.0.1:{self.port}"
            f"&allow_bucket_creation={str(create).lower()}"
        )


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Starts moto's server, and gives it a user with a key."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(process, lambda: _listens(port))
        user = {"UserName": "tester"}
        _iam(port, "CreateUser", user)
        policy = {"PolicyName": "all", "PolicyDocument": POLICY}
        _iam(port, "PutUserPolicy", {**user, **policy})
        made = _iam(port, "CreateAccessKey", user)
        key, secret = (_within(made, tag) for tag in ("AccessKeyId", "SecretAccessKey"))
        yield ObjectStore(port, key, secret, process.pid)
    finally:
        process.kill()
        process.wait()


def _iam(port: int, action: str, words: dict[str, str]) -> str:
    body = urlencode({"Action": action, "Version": "2010-05-08", **words}).encode()
    request = Request(f"http://127.0.0.1:{port}/", body, {"Authorization": SIGNED})
    with urlopen(request, timeout=START_S) as answer:
        return answer.read().decode()


def _within(text: str, tag: str) -> str:
    found = re.search(f"<{tag}>(.*?)</{tag}>", text)
    assert found is not None, text
    return found.group(1)


class Postgres:
    """A PostgreSQL that asks for a password, in a temporary folder; as nobody if we are root.

    Attributes:
        port: on loopback.
        url: of its database, password included.
    """

    def __init__(self, folder: Path) -> None:
        found = find_spec("pgserver")  # not imported: it warns, and makes a folder at home
        assert found is not None
        assert found.submodule_search_locations is not None
        programs = Path(found.submodule_search_locations[0]) / "pginstall" / "bin"
        self._programs, self._folder, self._data = programs, folder, folder / "data"
        self.port = free_port()
        self.url = f"postgresql://tester:hunter2@127.0.0.1:{self.port}/postgres"
        root = os.geteuid() == 0  # whom PostgreSQL refuses
        self._nobody: dict[str, Any] = (
            {"user": 65534, "group": 65534, "extra_groups": []} if root else {}
        )
        if root:
            os.chown(folder, 65534, 65534)
        password = folder / "password"
        password.write_text("hunter2\n")
        password.chmod(0o644)
        subprocess.run(
            [programs / "initdb", "-D", self._data, "-U", "tester", "-A", "scram-sha-256",
             f"--pwfile={password}", "--no-sync", "--locale=C", "-E", "UTF8"],
            check=True, capture_output=True, cwd=folder, **self._nobody,
        )  # fmt: skip
        self._process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        """Starts the server, again if it was stopped."""
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": str(self._folder),
                   "fsync": "off", "port": str(self.port), "max_connections": "60"}  # fmt: skip
        words = [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        process = self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *words],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._folder, **self._nobody,
        )  # fmt: skip
        wait_for(process, self._answers)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=START_S).close()
        except psycopg.OperationalError:  # not up, or still mending what a failure left
            return False
        return True

    def stop(self) -> None:
        """Stops the server at once, as a machine that fails would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(START_S)
            self._process = None


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Starts a PostgreSQL of our own; skips the test where there is none for this Python."""
    if find_spec("pgserver") is None:
        pytest.skip("pgserver is not installed")
    folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))  # short: sockets have long names
    try:
        server = Postgres(folder)
        try:
            server.start()
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Returns a port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def wait_for(process: subprocess.Popen[Any], answers: Callable[[], bool]) -> None:
    """Waits until a server answers."""
    deadline = time.monotonic() + START_S
    while not answers():
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < deadline, "the server never answered"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
