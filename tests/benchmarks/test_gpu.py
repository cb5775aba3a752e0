"""How busy a GPU is, by a program that answers like nvidia-smi."""

import time
from pathlib import Path

import pytest

from benchmarks import gpu
from benchmarks.gpu import GpuWatch, busy
from trainable.cli.errors import UserError


def test_start_up_and_what_comes_after_training_are_left_out() -> None:
    assert busy([0, 0, 90, 0, 100, 80, 0, 0]) == 67.5
    assert busy([0, 0]) is None
    assert busy([]) is None


def answering(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setattr(gpu, "EVERY_S", 0.01)


def watched() -> GpuWatch:
    with GpuWatch() as watch:
        until = time.monotonic() + 20
        while len(watch.looks) < 3 and watch.error is None and time.monotonic() < until:
            time.sleep(0.01)
    return watch


def test_the_first_gpu_is_looked_at_until_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(tmp_path, monkeypatch, 'echo "$*" > "$0.asked"; echo 85')
    watch = watched()
    looks = len(watch.looks)
    assert looks >= 3
    assert watch.busy() == 85
    assert "utilization.gpu" in (tmp_path / "nvidia-smi.asked").read_text()
    time.sleep(0.05)
    assert len(watch.looks) == looks


def test_a_failing_nvidia_smi_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(tmp_path, monkeypatch, "echo 'no devices were found' >&2; exit 6")
    with pytest.raises(UserError, match="no devices were found"):
        watched().busy()


def test_without_nvidia_smi_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with GpuWatch() as watch:
        pass
    assert watch.busy() is None
