"""A failing standard output: the command does what it was to do, and says what is lost."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.searches import ROOT
from tests.fixtures.streams import CLOSED, FULL, GONE, SHUT, Failing, narrow
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.cli.output import Output


@pytest.mark.parametrize(
    ("reason", "status", "said"),
    [
        (FULL, 2, "error: standard output cannot be written (No space left on device)\n"),
        (GONE, 2, "error: standard output cannot be written (Input/output error)\n"),
        (SHUT, 2, "error: standard output cannot be written (I/O operation on closed file.)\n"),
        (CLOSED, 0, ""),
    ],
)
def test_a_command_that_only_prints(monkeypatch, capsys, reason, status, said):
    monkeypatch.setattr(sys, "stdout", Failing(reason, good=2))

    def command() -> int:
        for line in range(5):
            print(line)
        return 0

    assert status_of(command) == status
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("reason", [FULL, GONE, CLOSED])
@pytest.mark.parametrize("status", [0, 130])
def test_a_command_with_results_elsewhere_keeps_its_status(monkeypatch, capsys, reason, status):
    monkeypatch.setattr(sys, "stdout", Failing(reason))

    def command() -> int:
        print("found")
        return status

    assert status_of(command, kept="it is in the folder") == status
    note = f"note: standard output cannot be written ({reason.strerror}); it is in the folder\n"
    assert capsys.readouterr().err == ("" if reason is CLOSED else note)


def test_an_error_keeps_its_status_although_nobody_can_read_it(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Failing(FULL))
    monkeypatch.setattr(sys, "stderr", Failing(FULL))

    def command() -> int:
        print("begins")
        raise UserError("no such thing")

    assert status_of(command) == 2


def test_no_standard_output_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    assert status_of(lambda: print("lost") or 0) == 0


def test_what_an_encoding_lacks_is_written_in_another_way():
    stream = narrow()
    output = Output(stream)
    output.write("2.42 ± 1.01 – größer …\n")
    output.flush()
    assert stream.buffer.getvalue() == b"2.42 +- 1.01 - gr??er ...\n"  # type: ignore[attr-defined]
    assert output.failed is None


def test_half_a_character_of_a_file_name_is_written():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    output = Output(stream)
    output.write("runs/a\udcff\n")
    output.flush()
    assert stream.buffer.getvalue() == b"runs/a?\n"  # type: ignore[attr-defined]


COMMAND = """import sys
from trainable.cli.commands import status_of
sys.exit(status_of(lambda: print("±" * 100_000) or 0))
"""
SHELL = """
$command | head -c1 >/dev/null; echo ${PIPESTATUS[0]}
$command >/dev/full 2>full; echo $?
$command >&- 2>&- <&-; echo $?
PYTHONIOENCODING=ascii $command >/dev/null; echo $?
"""


def test_real_shells(tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(COMMAND, encoding="utf-8")
    done = subprocess.run(
        ["bash", "-c", f"command='{sys.executable} command.py'\n{SHELL}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (["0", "2", "0", "0"], "")
    said = (tmp_path / "full").read_text(encoding="utf-8")
    assert said == "error: standard output cannot be written (No space left on device)\n"


def test_a_file_that_is_opened_never_takes_the_number_of_a_closed_output(tmp_path: Path) -> None:
    (tmp_path / "command.py").write_text(
        COMMAND.replace("print(", "open('kept', 'w').fileno() > 2 and print("), encoding="utf-8"
    )
    line = f"{sys.executable} command.py >&- 2>&- <&-"
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    subprocess.run(["bash", "-c", line], cwd=tmp_path, env=env, check=True)
    assert (tmp_path / "kept").read_bytes() == b""
