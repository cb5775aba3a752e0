"""What the documents say of the code is so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.peers import table as comparison
from search.monitor.metrics import COUNTERS, METRICS
from search.space.validation import check_space, load_space
from trainable.config import FIELDS, PER_MEMBER
from trainable.io.json_file import loads

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])
FOLDERS = "search|trainable|analysis|spaces|tests|benchmarks|docs|deploy"
PACKAGES_WITH_TREES = ("search", "trainable", "trainable/data", "analysis", "benchmarks")


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


@each_document
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        name, _, heading = target.partition("#")
        file = document.parent / name if name else document
        assert file.exists(), target
        assert not heading or heading in headings(file), target


def headings(document: Path) -> set[str]:
    """Returns the names by which links reach the headings of a document."""
    lines = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


@each_document
def test_paths_and_modules_in_a_document_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    paths = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*\w/?", text)
    beside = re.findall(r"`(?!runs/|best/|trials/)([\w-]+(?:/[\w-]+)*/[\w.-]+\.\w+)`", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [
        path
        for path in beside
        if not any((base / path).exists() for base in (ROOT, document.parent))
    ] == []
    names = re.findall(rf"(?<![\w./-])(?:{FOLDERS})(?:\.[a-zA-Z_]\w*)+", text)
    assert [name for name in names if not is_module_or_within(name)] == []
    commands = re.findall(r"python -m ([\w.]+)", text)
    assert [name for name in commands if not is_command(name)] == []


def is_module_or_within(name: str) -> bool:
    """Says whether a dotted name is a module, or is defined at the top of one."""
    if file_of(name):
        return True
    module, _, attribute = name.rpartition(".")
    file = file_of(module)
    return file is not None and attribute in defined_in(file)


def file_of(module: str) -> Path | None:
    base = ROOT / module.replace(".", "/")
    return next((f for f in (base.with_suffix(".py"), base / "__init__.py") if f.is_file()), None)


def defined_in(file: Path) -> set[str]:
    names = set[str]()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return names


def is_command(name: str) -> bool:
    file = file_of(f"{name}.__main__") or file_of(name)
    return file is not None and (
        file.name == "__main__.py" or '__name__ == "__main__"' in file.read_text(encoding="utf-8")
    )


def test_trees_show_the_folders_that_there_are() -> None:
    (tree,) = re.findall(r"```\n(search/ .*?)```", text_of("CONTRIBUTING.md"), flags=re.DOTALL)
    shown = entries(tree)
    assert [name for name in shown if not (ROOT / name).exists()] == []
    assert subfolders("search", "trainable", "analysis") - shown == set()
    assert {f"{name}/" for name in FOLDERS.split("|")} <= shown
    for package in PACKAGES_WITH_TREES:
        docstring = ast.get_docstring(
            ast.parse((ROOT / package / "__init__.py").read_text("utf-8"))
        )
        shown = {f"{package}/{name}" for name in entries(docstring or "")}
        assert [name for name in shown if not (ROOT / name).exists()] == []
        assert subfolders(package) - shown == set()


def entries(tree: str) -> set[str]:
    """Returns the files and folders (with a slash at the end) that the lines of a tree begin with.

    A line that is indented belongs to the last folder that is not.
    """
    found, folder = set[str](), ""
    for indent, name in re.findall(r"^( *)([\w./]+(?:/|\.\w+))(?:  |$)", tree, re.MULTILINE):
        folder = "" if not indent else folder
        found.add(folder + name)
        folder = folder if indent else name
    return found


def subfolders(*packages: str) -> set[str]:
    return {
        f"{file.parent.relative_to(ROOT)}/"
        for package in packages
        for file in (ROOT / package).glob("*/__init__.py")
    }


def test_glossary_is_short() -> None:
    words = re.findall(r"^\| ([a-z ]+) \| [A-Z`]", text_of("docs/glossary.md"), re.MULTILINE)
    assert 0 < len(words) <= 16
    assert len({*words}) == len(words)


def test_the_index_lists_every_page_once() -> None:
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| \S", text_of("docs/README.md"), re.MULTILINE)
    pages = {page.stem for page in ROOT.glob("docs/*.md")} - {"README"}
    assert sorted(listed) == sorted(pages)


def test_the_comparison_in_the_readme_is_what_was_measured() -> None:
    result = loads((ROOT / "benchmarks" / "results" / "peers.json").read_bytes())
    shown = f"\n{comparison.table(result)}\n\n{comparison.source(result)}\n"
    assert shown in text_of("README.md")


def test_space_on_its_page_works(tmp_path: Path) -> None:
    page = text_of("docs/what_is_searched.md")
    (source,) = re.findall(r"```python\n(\"\"\".*?)```", page, flags=re.DOTALL)
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    space = load_space(str(tmp_path / "mine.py"))
    assert check_space(space, {"model/dropout": "0.3"}, samples=5, seed=0)


def test_the_table_of_cohort_settings_is_the_code() -> None:
    text = text_of("docs/cohorts.md")
    rows = dict(re.findall(r"^\| `(\w+/\w+)` \| (shared|per member) \|", text, re.MULTILINE))
    assert rows == {key: "per member" if key in PER_MEMBER else "shared" for key in FIELDS}


def test_the_table_of_metrics_is_the_code() -> None:
    listed = re.findall(r"^\| `(asharpe_\w+)` \|", text_of("docs/monitoring.md"), re.MULTILINE)
    assert listed == [f"{name}_total" if name in COUNTERS else name for name in METRICS]


def test_the_table_of_stop_reasons_is_the_code() -> None:
    page = text_of("docs/run_folder.md")
    rows = re.findall(r"^\| (`.*`) \| (?:COMPLETE|PRUNED|FAIL|RUNNING) \|", page, re.MULTILINE)
    listed = [reason for row in rows for reason in re.findall(r"`(\w+)`", row)]
    assert len(listed) == len(set(listed))
    files = [file for package in ("trainable", "search") for file in (ROOT / package).rglob("*.py")]
    assert set(listed) == {reason for file in files for reason in reasons(file)}


def reasons(file: Path) -> Iterator[str]:
    """Yields the stop reasons that a file names: there is no list, each rule knows its own."""
    place = {"Stop": 0, "Verdict": 1}  # of the reason among the arguments
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from texts(*node.args[place.get(node.func.id, len(node.args)) :][:1])
        elif isinstance(node, ast.FunctionDef) and node.name in ("stop_reason", "final"):
            yield from texts(*(part for part in ast.walk(node) if isinstance(part, ast.Return)))


def texts(*nodes: ast.AST) -> Iterator[str]:
    for part in (inner for node in nodes for inner in ast.walk(node)):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value
