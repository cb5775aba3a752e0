"""The architecture, read from the source: who may import what, and what no file may contain."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("trainable", "search", "spaces", "analysis")
FOLDERS = (*PACKAGES, "tests", "benchmarks")
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
NAMES = [str(file.relative_to(ROOT)) for file in FILES]
# Tune on both sides, the cluster, and its metrics: each is a part of Ray of its own.
KNOW_RAY = {
    "trainable/trial.py",
    "search/backend/ray_tune.py",
    "search/backend/cluster.py",
    "search/backend/ray_metrics.py",
}
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve"}

each_file = pytest.mark.parametrize("name", NAMES)


def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text(encoding="utf-8"), filename=name)


def imports(name: str) -> Iterator[str]:
    """Yields the dotted names that a file imports, also inside functions."""
    package = name.split("/")[:-1]
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def roots(name: str) -> set[str]:
    return {imported.split(".")[0] for imported in imports(name)}


def test_packages_are_those_of_the_house() -> None:
    with_code = {file.parent.name for file in ROOT.glob("*/*.py")}
    assert with_code - set(FOLDERS) == set()
    assert all((ROOT / package / "__init__.py").is_file() for package in PACKAGES)


@each_file
def test_dependencies_point_one_way(name: str) -> None:
    allowed = {
        "trainable": {"trainable"},
        "spaces": {"spaces", "trainable"},
        "analysis": {"analysis", "trainable"},
        "search": set(PACKAGES),
    }
    ours = roots(name) & set(FOLDERS)
    assert ours <= allowed[name.split("/")[0]]


@each_file
def test_only_the_adapters_know_ray(name: str) -> None:
    assert ("ray" in roots(name)) <= (name in KNOW_RAY)


@each_file
def test_analysis_does_not_reach_ray_or_torch_through_trainable(name: str) -> None:
    if name.startswith("analysis/"):
        ours = {imported for imported in imports(name) if imported.startswith("trainable.")}
        names = ("cli", "io", "report")
        light = tuple(f"trainable.{name}." for name in names)
        assert all(imported.startswith(light) for imported in ours)


@each_file
def test_nothing_is_pickled(name: str) -> None:
    assert roots(name).isdisjoint(PICKLERS)
    for node in ast.walk(tree(name)):
        if not isinstance(node, ast.Call):
            continue
        keywords = {word.arg: ast.unparse(word.value) for word in node.keywords}
        assert keywords.get("allow_pickle", "False") == "False", f"line {node.lineno}"
        if ast.unparse(node.func) == "torch.load":
            assert keywords.get("weights_only") == "True", f"line {node.lineno}"


@each_file
def test_no_handler_takes_every_error_and_goes_on(name: str) -> None:
    for node in ast.walk(tree(name)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        assert node.type is not None, f"line {node.lineno}: bare except"
        caught = {ast.unparse(kind) for kind in ast.walk(node.type) if isinstance(kind, ast.Name)}
        if caught & {"Exception", "BaseException"}:
            kept = any(
                isinstance(inner, ast.Raise)
                or (isinstance(inner, ast.Name) and inner.id == node.name)
                for inner in ast.walk(node)
            )
            assert kept, f"line {node.lineno}: an error is swallowed"


@each_file
def test_file_says_what_it_is_for(name: str) -> None:
    assert ast.get_docstring(tree(name)), "a module begins with what it is for"


@each_file
def test_nobody_elses_ray_cluster_is_stopped(name: str) -> None:
    assert not re.search(r"\bray[\"', ]+stop\b", (ROOT / name).read_text(encoding="utf-8"))


def test_make_and_ci_stop_no_cluster_either() -> None:
    for file in [ROOT / "Makefile", *(ROOT / ".ci").glob("*")]:
        if file.is_file():
            assert "ray stop" not in file.read_text(encoding="utf-8"), file.name


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import ray.tune as t", {"ray"}),
        ("def f():\n    from ray import tune", {"ray"}),
        ("from . import trial\nfrom ..search import run", {"trainable", "search"}),
    ],
)
def test_imports_are_found(
    source: str, expected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.test_house.tree", lambda name: ast.parse(source))
    found = roots("trainable/data/x.py") if "search" not in source else roots("trainable/x.py")
    assert found == expected
