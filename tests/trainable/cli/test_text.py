"""Numbers and values in the words that a person uses."""

import pytest

from trainable.cli.text import duration, shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (3600, "60 min"), (12_000, "3 h 20 min"),
     (187_200, "2 d 4 h")],
)  # fmt: skip
def test_durations_as_a_person_says_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("AAA", "'AAA'"),
        ("a\nb", r"'a\nb'"),
        ([1, 2], "[1, 2]"),
        ("x" * 90, f"'{'x' * 58}…"),
        (f"postgresql://ann:{'p' * 60}@db/x", "'postgresql://…"),
    ],
)
def test_a_value_is_shown_in_one_short_line(value: object, line: str) -> None:
    assert shown(value) == line
