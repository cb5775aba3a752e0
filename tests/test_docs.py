"""What the documents say of the code is so."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from search.monitor.metrics import METRICS
from search.space.validation import check_space, load_space
from trainable.config import FIELDS, PER_MEMBER

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"])


def text_of(document: str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_document_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (document.parent / target).exists(), target


def test_space_in_the_readme_works(tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(\"\"\".*?)```", text_of("README.md"), flags=re.DOTALL)
    (tmp_path / "mine.py").write_text(source, encoding="utf-8")
    space = load_space(str(tmp_path / "mine.py"))
    assert check_space(space, {"model/dropout": "0.3"}, samples=5, seed=0)


def test_the_table_of_cohort_settings_is_the_code() -> None:
    text = text_of("docs/cohorts.md")
    rows = dict(re.findall(r"^\| `(\w+/\w+)` \| (shared|per member) \|", text, re.MULTILINE))
    assert rows == {key: "per member" if key in PER_MEMBER else "shared" for key in FIELDS}


def test_the_table_of_metrics_is_the_code() -> None:
    assert re.findall(r"^\| `(asharpe_\w+)` \|", text_of("docs/monitoring.md"), re.MULTILINE) == [
        *METRICS
    ]


def test_the_table_of_stop_reasons_is_the_code() -> None:
    rows = re.findall(r"^\| (`.*`) \| [A-Z]+ \|", text_of("README.md"), re.MULTILINE)
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
