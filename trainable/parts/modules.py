"""Runs the text of a file of parts as a module, in any process; tracebacks show its lines."""

import linecache
import sys
import types

from trainable.cli.errors import UserError, located
from trainable.parts.files import PartsFile


def module_name(file: PartsFile) -> str:
    """Returns the name of a file's module, the same in every process."""
    return f"parts_{file.name}"


def run(file: PartsFile) -> types.ModuleType:
    """Runs the text of a file; its module can be imported until `forget`.

    Raises:
        UserError: the text fails, with the line that does.
    """
    module = types.ModuleType(module_name(file))
    module.__file__ = file.shown
    # Before it runs: a dataclass looks its module up.
    sys.modules[module.__name__] = module
    lines = file.source.splitlines(keepends=True)
    linecache.cache[file.shown] = (len(file.source), None, lines, file.shown)
    try:
        exec(compile(file.source, file.shown, "exec"), module.__dict__)
    except UserError:
        forget(file)
        raise
    except (Exception, SystemExit) as error:
        forget(file)
        raise located(file.shown, None, error) from error
    return module


def forget(file: PartsFile) -> None:
    """Removes the module of a file."""
    sys.modules.pop(module_name(file), None)
    linecache.cache.pop(file.shown, None)
