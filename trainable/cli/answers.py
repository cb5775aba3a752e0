"""What a command answers: screens for a person; with `--json` one JSON document for a program.

What is undefined (NaN, infinity, NA) is null. Everything else that a command says goes to standard
error then, so that standard output holds the document, or nothing where there is no answer.
"""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

FLAG = "--json"
JSON_LINE = "answers with one JSON document; messages go to standard error"


@dataclass
class Answer:
    """The answer of one command.

    Attributes:
        json: whether a JSON document is asked for.
        value: what it holds, as `plain` takes it; None: there is no answer.
    """

    json: bool
    value: object = None


@contextmanager
def answering(argv: Sequence[str]) -> Iterator[tuple[list[str], Answer]]:
    """Yields the words of a command line without `--json`, and the answer to be filled in.

    With `--json` the value of the answer is printed at the end of the block, unless that raises,
    and whatever else the block prints goes to standard error.
    """
    answer = Answer(FLAG in argv)
    words = [word for word in argv if word != FLAG]
    if not answer.json:
        yield words, answer
        return
    with redirect_stdout(sys.stderr):
        yield words, answer
    if answer.value is not None:
        print(document(answer.value), flush=True)


def document(value: object) -> str:
    """Returns a value as a JSON text: strict, indented, what is undefined as null."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=2)


def plain(value: Any) -> Any:
    """Returns a value as JSON knows it.

    Args:
        value: of numbers, texts, dates, paths, dataclasses, mappings, sequences, sets, arrays of
            NumPy, tables (a list of their rows) and whatever pandas calls missing.

    Raises:
        TypeError: something in it is none of these.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return None if value != value else value.isoformat()  # NaT is no date, and not itself
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {spec.name: plain(getattr(value, spec.name)) for spec in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Sequence | Set):
        return [plain(one) for one in value]
    return _of_numpy_or_pandas(value)


def _of_numpy_or_pandas(value: Any) -> Any:
    """Returns what is told by its methods, so that a command that needs neither loads neither."""
    if type(value).__name__ == "NAType":
        return None
    if type(value).__name__ in ("datetime64", "timedelta64"):
        return None if value != value else str(value)
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return [plain(row) for row in value.to_dict("records")]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} {value!r} is nothing that JSON knows")
