"""A file of parts as text: read, checked without running it, known by its hash.

The text is all there is of it: it is stored with a run and its models, and sent to the workers,
which see no file of the person.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from trainable.cli.errors import UserError, located
from trainable.cli.paths import expand_home

OURS = "trainable"  # the one package of ours that every worker has


@dataclass(frozen=True)
class PartsFile:
    """One file of parts.

    Attributes:
        name: without `.py`; no two files of a search share it.
        source: its text.
        path: as the person named it; None for parts given in Python.
    """

    name: str
    source: str
    path: str | None = None

    @property
    def sha256(self) -> str:
        """The hash of the text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    @property
    def shown(self) -> str:
        """What messages and tracebacks call it."""
        return self.path or f"{self.name}.py"

    def record(self) -> dict[str, Any]:
        """Returns what is stored of it as JSON."""
        return {
            "name": self.name,
            "path": self.path,
            "sha256": self.sha256,
            "source": self.source,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Returns what `record` was made of.

        Raises:
            ValueError: the text is not the one that the hash is of.
        """
        file = cls(str(record["name"]), str(record["source"]))
        if file.sha256 != record["sha256"]:
            raise ValueError(f"the text of {file.name}.py is not the one that was stored")
        return file


def read_files(paths: Iterable[str | Path], copies: Path | None = None) -> tuple[PartsFile, ...]:
    """Reads files of parts; nothing in them is run.

    Args:
        paths: of the files.
        copies: a folder that may hold copies of them, which the error for a missing file offers.

    Raises:
        UserError: a file is missing, is no Python, or imports a file beside it.
    """
    files: dict[str, PartsFile] = {}
    for path in paths:
        file = read_file(path, copies)
        if file.name in files:
            raise UserError(
                f"parts={file.shown}: {files[file.name].shown} has the same name; rename one of "
                "the two files, or leave one out"
            )
        files[file.name] = file
    return tuple(files.values())


def read_file(path: str | Path, copies: Path | None = None) -> PartsFile:
    """Reads one file; see `read_files`."""
    text = expand_home(str(path), "parts")
    file = Path(text)
    if file.suffix != ".py":
        raise UserError(f"parts={text} must be a Python file; its name ends in .py")
    if not file.is_file():
        kept = None if copies is None else copies / file.name
        has = kept is not None and kept.is_file()
        more = f"; the run has kept a copy, and parts={kept} goes on with it" if has else ""
        raise UserError(f"parts={text}: there is no such file{more}")
    try:
        source = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{text}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{text}: is not Python: byte {error.start} is not UTF-8") from error
    try:
        tree = ast.parse(source, text)
    except (SyntaxError, ValueError) as error:
        raise located(text, None, error) from error
    _refuse_neighbours(tree, text, {file.parent.absolute(), Path.cwd()})
    return PartsFile(file.stem, source, text)


def _refuse_neighbours(tree: ast.Module, shown: str, folders: Iterable[Path]) -> None:
    """Raises `UserError` where a file imports what only this machine's folders hold."""
    for line, name in _imported(tree):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top == OURS:
            continue
        if not top or any(_only_in(folder, top) for folder in folders):
            raise UserError(
                f"{shown}:{line}: imports {top or 'a module'} from a file beside it, which "
                "workers, a resumed search and predictions would lack: put that code into "
                f"{shown}, or install it as a package on every machine"
            )


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields line and name of each module that is imported; no name: relative to the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "" if node.level else str(node.module)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            if called in ("import_module", "__import__"):
                yield node.lineno, str(node.args[0].value)


def _only_in(folder: Path, name: str) -> bool:
    """Says whether a folder has a module of this name that is not installed anywhere else."""
    file, package = folder / f"{name}.py", folder / name
    if not file.is_file() and not (package.is_dir() and any(package.glob("*.py"))):
        return False
    try:
        spec = find_spec(name)
    except ValueError:  # a module that was made by hand
        return False
    if spec is None:
        return True
    places = [spec.origin, *(spec.submodule_search_locations or ())]
    return any(place is not None and Path(place).is_relative_to(folder) for place in places)
