"""Numbers and values in the words that a person uses."""

import pytest

from trainable.cli.text import duration, listed, microseconds, shown


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


@pytest.mark.parametrize(
    ("value", "said"),
    [(0.38123, "0.38 µs"), (4.0, "4 µs"), (82.4, "82 µs"), (9_876.0, "9,876 µs"), (6e4, "60 ms")],
)
def test_short_times_are_said_in_two_digits_or_more(value: float, said: str) -> None:
    assert microseconds(value) == said


def test_words_are_listed_as_a_person_lists_them() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == [
        "a", "a and b", "a, b and c",
    ]  # fmt: skip
