"""A path is told from what stands in a file."""

from pathlib import Path

import pytest

from trainable.cli.paths import is_content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("prices.csv", False),
        ("[old]/prices.csv", False),
        ("[new]", False),
        ("prices.csv\n", False),
        ("date,close\n2020-01-01,1\n", True),
        ('[{"optimizer/lr": 0.1}]', True),
        ('{"optimizer/lr": 0.1}', True),
        ("1", False),
        ("x" * 5000, True),
        ("a\0b", False),
    ],
)
def test_the_content_of_a_file_is_told_from_its_path(text: str, content: bool) -> None:
    assert is_content(text) == content


def test_a_file_that_is_called_as_content_looks_is_a_path(tmp_path: Path) -> None:
    odd = tmp_path / "two\nlines.csv"
    odd.touch()
    assert not is_content(str(odd))
