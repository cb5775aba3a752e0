"""What ends the process shows no secret: the traceback of a defect, too, whoever caused it."""

import subprocess
import sys

import pytest

from tests.fixtures.searches import ROOT

SECRET = "hunter2"
URL = f"postgresql://ann:{SECRET}@db/x"
COMMAND = f"""
import runpy, sys
from search.settings import reading
def broken(*_):
    raise RuntimeError("of storage={URL}, and ?password={SECRET}")
reading.settings_from = broken
sys.argv = ["run", "space=quick_test"]
runpy.run_module("search.run", run_name="__main__")
"""
CHAINED = f"""
from search.settings.masking import mask_tracebacks
mask_tracebacks()
try:
    raise ValueError("{URL}")
except ValueError as error:
    raise KeyError("?token={SECRET}") from error
"""


@pytest.mark.parametrize(("program", "kind"), [(COMMAND, "RuntimeError"), (CHAINED, "KeyError")])
def test_a_traceback_is_shown_without_secrets(program: str, kind: str) -> None:
    words = [sys.executable, "-c", program]
    found = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "Traceback (most recent call last)" in found.stderr
    assert f"{kind}: " in found.stderr
    assert "postgresql://ann:***@db/x" in found.stderr
    shown = [line for line in found.stderr.splitlines() if "raise " not in line]
    assert SECRET not in found.stdout + "\n".join(shown)
    assert SECRET not in found.stderr
