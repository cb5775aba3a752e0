"""What commands share: one line for the person, an exit status, the run that comes first."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from trainable.cli.commands import parse_after_run, process_status, status_of
from trainable.cli.errors import UserError


def test_a_command_that_the_person_got_wrong_ends_with_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def wrong() -> int:
        raise UserError("no such thing")

    assert status_of(wrong) == 2
    assert capsys.readouterr() == ("", "error: no such thing\n")


def test_a_command_keeps_its_status_and_a_defect_its_traceback() -> None:
    def defect() -> int:
        raise KeyError("x")

    assert status_of(lambda: 130) == 130
    with pytest.raises(KeyError):
        status_of(defect)


@dataclass(frozen=True)
class Few:
    """What a command of these tests takes."""

    top: int = 5  # rows


def test_ctrl_c_ends_a_process_with_130_and_without_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted() -> int:
        raise KeyboardInterrupt

    assert process_status(interrupted) == 130
    assert process_status(lambda: 3) == 3
    assert capsys.readouterr() == ("", "Interrupted.\n")


def test_a_run_folder_comes_first_and_then_the_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert parse_after_run(Few, ["runs/a", "top=2"], "usage") == (Path("runs/a"), Few(2))
    assert parse_after_run(Few, ["--help"], "usage of it") is None
    assert "usage of it" in capsys.readouterr().out
    for words in ([], ["top=2"]):
        with pytest.raises(UserError, match="no run folder named; usage: usage of it"):
            parse_after_run(Few, words, "usage of it")
