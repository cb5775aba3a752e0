"""An exception of a person's parts, told in one line: where, in which part, what went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb

from trainable.cli.errors import UserError, located
from trainable.parts.files import PartsFile
from trainable.parts.loaded import LOADED

MORE = "; python -m trainable.parts check "  # with a path: the end of a message


def told(error: BaseException) -> UserError | None:
    """Returns an exception in one line; None: no line of a loaded part led to it.

    The line is the deepest one of the file, also where it calls what is installed.
    """
    codes = [frame.f_code for frame, _ in walk_tb(error.__traceback__)]
    for loaded in LOADED.values():
        for code in codes:
            if code.co_filename == loaded.file.shown:  # what we called of it
                part = loaded.code.get(code.co_qualname.partition(".")[0], code.co_qualname)
                said = located(loaded.file.shown, None, error, part)
                return advised(said, loaded.file)
    return None


@contextmanager
def one_line() -> Iterator[None]:
    """Has an exception of a part become a `UserError`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        said = told(error)
        if said is None:
            raise
        raise said from error


def advised(error: UserError, file: PartsFile) -> UserError:
    """Returns an error that also says which command says more of a file; none of a notebook's."""
    if MORE in str(error) or not file.path:
        return error
    return UserError(f"{error}{MORE}{file.path} says more")
