"""The architecture, read from the source: who may import whom, and what no file may contain."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.conftest import LONG

ROOT = Path(__file__).parents[1]
PACKAGES = ("trainable", "search", "spaces", "analysis")
FOLDERS = (*PACKAGES, "tests", "benchmarks")
SOURCES = {
    str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
}
OURS = tuple(f"{folder}." for folder in FOLDERS)
# What others keep private and offer nothing else for: how Ray finds a cluster by its address, and
# how its autoscaler reads the file of a cluster.
THEIRS = ("ray._private.services", "ray.autoscaler._private.")
PRIVATE = re.compile(r"^([A-Za-z]\w*\.)*_[A-Za-z]\w*(\.\w+)*$")


@cache
def trees() -> dict[str, ast.Module]:
    """Returns each file of the packages as Python reads it."""
    return {name: ast.parse(source, filename=name) for name, source in SOURCES.items()}


def test_packages_are_those_of_the_house() -> None:
    with_code = {file.parent.name for file in ROOT.glob("*/*.py")}
    assert with_code - set(FOLDERS) == set()
    assert all((ROOT / package / "__init__.py").is_file() for package in PACKAGES)


def test_a_wheel_holds_every_file() -> None:
    """setuptools takes folders that are packages, and of other files those that are named."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = tomllib.loads(text)["tool"]["setuptools"]["package-data"]
    files = [f for package in PACKAGES for f in (ROOT / package).rglob("*") if f.is_file()]
    for file in files:
        folder = file.parent.relative_to(ROOT)
        if "__pycache__" in folder.parts or folder.name == "notebooks":  # for readers of the tree
            continue
        assert all((ROOT / up / "__init__.py").is_file() for up in (folder, *folder.parents[:-1]))
        module = ".".join(folder.parts)
        assert file.suffix == ".py" or file.name in named.get(module, ()), file


def test_imports_follow_the_arrows() -> None:
    """The contracts stand in pyproject.toml; the linter says which import breaks which of them."""
    program = "from importlinter.cli import lint_imports_command as lint; lint()"
    linter = subprocess.run(
        [sys.executable, "-c", program, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert linter.returncode == 0, linter.stdout + linter.stderr


def test_no_pickle_is_loaded() -> None:
    assert [*_calls_that_unpickle()] == []


def _calls_that_unpickle() -> Iterator[str]:
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
            of_numpy = keywords.get("allow_pickle", "False") != "False"
            of_torch = ast.unparse(node.func) == "torch.load"
            if of_numpy or (of_torch and keywords.get("weights_only") != "True"):
                yield f"{name}:{node.lineno}"


def test_no_handler_takes_every_error_and_goes_on() -> None:
    assert [*_handlers_that_swallow()] == []


def _handlers_that_swallow() -> Iterator[str]:
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and _takes_all(node) and not _passes_on(node):
                yield f"{name}:{node.lineno}"


def _takes_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {part.id for part in ast.walk(handler.type) if isinstance(part, ast.Name)}
    return bool(caught & {"Exception", "BaseException"})


def _passes_on(handler: ast.ExceptHandler) -> bool:
    """Says whether a handler raises, or uses the error that it caught; a bare one never may."""
    return handler.type is not None and any(
        isinstance(part, ast.Raise) or (isinstance(part, ast.Name) and part.id == handler.name)
        for part in ast.walk(handler)
    )


def test_files_say_what_they_are_for() -> None:
    assert [name for name, tree in trees().items() if not ast.get_docstring(tree)] == []


def test_tests_look_at_what_is_public() -> None:
    assert [*_private_parts_in_tests()] == []


def _private_parts_in_tests() -> Iterator[str]:
    """Yields where a test reads, patches or imports a name that begins with one underscore."""
    for file in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for name in _names_used(node):
                if PRIVATE.search(name) and not name.startswith(THEIRS):
                    yield f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}: {name}"


def _names_used(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls")):
            return
        case ast.Attribute(attr=name):
            yield name
        case ast.Import(names=names):
            yield from (each.name for each in names)
        case ast.ImportFrom(module=module, names=names):
            yield from (f"{module}.{each.name}" for each in names)
        case ast.Constant(value=str(text)) if text.startswith(OURS):  # a target of a patch
            yield text
        case ast.Call(args=[_, ast.Constant(value=str(name)), *_]):  # as of `setattr`
            yield name
        case ast.Tuple(elts=[_, ast.Constant(value=str(name))]):  # an owner and a name of its
            yield name


def test_nobody_elses_ray_cluster_is_stopped() -> None:
    others = [ROOT / "Makefile", *(file for file in (ROOT / ".ci").glob("*") if file.is_file())]
    texts = SOURCES | {str(file): file.read_text(encoding="utf-8") for file in others}
    stops = re.compile(r"\bray[\"', ]+stop\b")
    assert [name for name, text in texts.items() if stops.search(text)] == []


def test_tests_that_start_first_are_there() -> None:
    files = {file.stem for file in (ROOT / "tests").rglob("test_*.py")}
    assert [name for name in LONG if f"test_{name}" not in files] == []
