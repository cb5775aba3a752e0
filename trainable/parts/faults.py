"""An exception of a person's parts, told in one line: where, in which part, what went wrong."""

import linecache
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
    for loaded in LOADED.values():
        shown = loaded.file.shown
        calls = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
        own = [(code, line) for code, line in calls if code.co_filename == shown]
        if own:
            called = own[0][0].co_qualname  # by us
            part = loaded.code.get(called.partition(".")[0], called)
            said = located(shown, None, error, part)
            if not loaded.file.path:  # there is no such file to look into
                return UserError(
                    f"{said}, in the line {linecache.getline(shown, own[-1][1]).strip()!r}"
                )
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
