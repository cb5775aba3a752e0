"""Errors for the person: one line on stderr, and an exit status."""

import pytest

from trainable.errors import UserError, status_of


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
