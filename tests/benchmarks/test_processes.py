"""Programs measured with all the processes that they start."""

import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks import processes


def run(folder: Path, program: str) -> processes.Usage:
    command = [sys.executable, "-c", program]
    return processes.run(command, dict(os.environ), folder, folder / "log")


def test_memory_and_time_of_a_daemon_count_though_its_parent_ended(tmp_path: Path) -> None:
    daemon = "import time; b = bytearray(120 << 20); e = time.process_time() + 0.8\\n"
    daemon += "while time.process_time() < e: pass"
    program = (
        f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', '{daemon}'])\n"
    )
    used = run(tmp_path, program + "time.sleep(0.5)")
    assert used.status == 0
    assert used.processes == 2
    assert 0.4 < used.seconds < 30
    assert used.cpu_seconds >= 0.6
    assert used.peak_mib >= used.largest_mib * 0.9 >= 100


def test_status_and_output_of_a_program(tmp_path: Path) -> None:
    used = run(tmp_path, "print('out'); raise SystemExit(3)")
    assert used.status == 3
    assert (tmp_path / "log").read_text() == "out\n"


def test_what_outlives_its_program_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PATIENCE_S", 0.3)
    child = "import subprocess, sys; c = subprocess.Popen(['sleep', '60'])"
    begun = time.monotonic()
    used = run(tmp_path, f"{child}\nimport time; time.sleep(0.6); print(c.pid)")
    assert used.status == 0
    assert time.monotonic() - begun < 40
    assert processes.command_of(int((tmp_path / "log").read_text())) == ""
