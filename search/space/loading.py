"""Finds a search space: a name in `spaces/`, a file, or a function; errors carry its own line."""

import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from optuna import Trial

from trainable.cli.errors import UserError, located, unknown
from trainable.cli.paths import expand_home, is_content
from trainable.cli.text import shown

SpaceFunction = Callable[[Trial], Mapping[str, object]]

DEFAULT_EPOCHS = 50  # of a function that says nothing about it
HOME = Path(__file__).parents[2] / "spaces"


@dataclass(frozen=True)
class Space:
    """A search space and where it comes from.

    Attributes:
        name: the name in `spaces/`, the file's name without `.py`, or the function's name.
        function: suggests parameters from a trial and returns constants.
        epochs: evaluations of a trial that is never stopped, unless the command line says more.
        source: the text of the file or function.
        sha256: hash of `source`.
        path: the file as the person wrote it; None for a function.
        steps_per_epoch: optimizer steps between two evaluations, unless the command line says
            otherwise; 0: one pass over the training rows.
    """

    name: str
    function: SpaceFunction
    epochs: int
    source: str
    sha256: str
    path: str | None = None
    steps_per_epoch: int = 0


def load_space(space: str | Path | SpaceFunction, epochs: int | None = None) -> Space:
    """Returns the space of this name in `spaces/`, in this file, or made of this function.

    Args:
        space: a name, a path to a .py file with `EPOCHS` and `space(trial) -> dict`, or such a
            function.
        epochs: for a function without an attribute `EPOCHS`; unset: 50.

    Raises:
        UserError: for an unknown name, and for a file that fails, with its line.
    """
    if not isinstance(space, str | Path):
        return _from_function(space, epochs)
    if is_content(str(space)):
        raise UserError(
            f"space= wants a name, a path or a function, and this is the content of a file: "
            f"{shown(str(space))}"
        )
    text = expand_home(str(space), "space")
    if isinstance(space, str) and not text.endswith(".py") and not {"/", "\\"} & set(text):
        if text not in names():
            raise unknown("space", text, names())
        return _from_file(HOME / f"{text}.py", f"spaces/{text}.py")
    if not text.endswith(".py"):
        raise UserError(
            f"space={text} is neither a name nor a .py file; "
            f"names: {', '.join(names())}; a path ends in .py"
        )
    if not Path(text).is_file():
        raise UserError(f"space={text}: there is no such file; names: {', '.join(names())}")
    return _from_file(Path(text), text)


def names() -> list[str]:
    """Returns the names of the spaces in `spaces/`."""
    return sorted(path.stem for path in HOME.glob("*.py") if not path.stem.startswith("_"))


def call(space: Space, function: SpaceFunction, trial: Trial) -> dict[str, object]:
    """Returns the constants of one call; an exception of the space becomes a `UserError`."""
    try:
        return dict(function(trial))
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise located(space.path, space.function, error) from error


def _from_file(file: Path, shown: str) -> Space:
    module = types.ModuleType(f"space_{file.stem}")
    module.__file__ = str(file)
    if (folder := str(file.parent.absolute())) not in sys.path and file.parent != HOME:
        sys.path.append(folder)  # it may import its neighbours, which hide no module of Python's
    try:
        source = file.read_text(encoding="utf-8")
        # Compiled here rather than imported, so that nothing is left beside the person's file.
        exec(compile(source, shown, "exec"), module.__dict__)
    except OSError as error:
        raise UserError(f"{shown}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{shown}: is not Python: byte {error.start} is not UTF-8") from error
    except (Exception, SystemExit) as error:
        raise located(shown, None, error) from error
    function = getattr(module, "space", None)
    if not callable(function):
        raise UserError(f"{shown}: has no function space(trial); define one that returns a dict")
    if not hasattr(module, "EPOCHS"):
        raise UserError(f"{shown}: has no EPOCHS; write EPOCHS = {DEFAULT_EPOCHS} at the top")
    epochs = _whole(module.__dict__["EPOCHS"], f"{shown}: EPOCHS")
    steps = _whole(getattr(module, "STEPS_PER_EPOCH", 0), f"{shown}: STEPS_PER_EPOCH", least=0)
    known = cast(SpaceFunction, function)
    return Space(file.stem, known, epochs, source, _hash(source), shown, steps)


def _from_function(function: SpaceFunction, epochs: int | None) -> Space:
    if not callable(function):
        raise UserError(
            f"space is a {type(function).__name__}; it must be a name, a .py file or a function"
        )
    name = getattr(function, "__name__", type(function).__name__).strip("<>")
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        # Typed at a prompt, or a callable object: its name is all the text there is.
        source = f"# {function!r}"
    if epochs is None:
        epochs = getattr(function, "EPOCHS", DEFAULT_EPOCHS)
    epochs = _whole(epochs, f"epochs of {name}")
    steps = _whole(getattr(function, "STEPS_PER_EPOCH", 0), f"{name}: STEPS_PER_EPOCH", least=0)
    return Space(name, function, epochs, source, _hash(source), steps_per_epoch=steps)


def _whole(number: object, where: str, least: int = 1) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise UserError(f"{where} = {shown(number)} must be a whole number of at least {least}")
    return number


def _hash(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()
