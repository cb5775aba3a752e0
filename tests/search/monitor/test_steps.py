"""What a search says before anything slow is imported, and while nothing else is to be seen."""

import io
import subprocess
import sys

import pytest

from search.monitor.steps import LONG_S, Steps

CLOCK = [0.0, LONG_S - 0.1, 10.0, 10.0 + LONG_S + 1.24]  # begin, end, begin, end


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_each_step_is_a_line_and_a_long_one_says_how_long_it_took() -> None:
    out = io.StringIO()
    with Steps(out, iter(CLOCK).__next__) as steps:
        steps.begin("Reading the space")
        assert out.getvalue() == "Reading the space …"
        steps.begin("Loading PyTorch")
    assert out.getvalue() == f"Reading the space …\nLoading PyTorch … {LONG_S + 1.2:.1f} s\n"


def test_in_a_terminal_a_short_step_goes_and_a_long_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    steps = Steps(out, iter(CLOCK).__next__)
    steps.begin("Reading the space")
    steps.end()
    assert out.getvalue().endswith("\r\x1b[2K")
    steps.begin("Loading PyTorch")
    steps.end()
    assert out.getvalue().endswith(f"\r\x1b[2KLoading PyTorch: {LONG_S + 1.2:.1f} s\n")
    with steps:
        pass  # ends what draws


def test_an_error_begins_on_a_line_of_its_own() -> None:
    out = io.StringIO()

    def fails() -> None:
        with Steps(out) as steps:
            steps.begin("Reading the data")
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        fails()
    assert out.getvalue() == "Reading the data …\n"


def test_what_says_the_first_line_imports_nothing_slow() -> None:
    slow = {"torch", "ray", "optuna", "pandas", "scipy"}
    code = f"import sys, search.run; print(*{slow} & sys.modules.keys())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == []
