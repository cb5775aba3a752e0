from pathlib import Path

import pytest
from optuna import Trial

from search.space.validation import check_space, load_space
from trainable.cli.errors import UserError


def write(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


def small(trial: Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-5, 1e-3, log=True)
    return {"model/name": "mlp"}


def test_a_name_a_file_and_a_function(tmp_path):
    named = load_space("conservative")
    assert (named.name, named.path, named.epochs) == ("conservative", "spaces/conservative.py", 50)
    assert "def space" in named.source
    path = write(tmp_path, named.source)
    for given in (path, Path(path)):
        filed = load_space(given)
        assert (filed.name, filed.path, filed.sha256) == ("mine", path, named.sha256)
    made = load_space(small)
    assert (made.name, made.path, made.epochs) == ("small", None, 50)
    assert "1e-5, 1e-3" in made.source
    assert load_space(small, epochs=7).epochs == 7


def test_a_function_may_carry_its_epochs():
    def carrying(trial: Trial) -> dict:
        return {}

    carrying.EPOCHS = 9  # pyright: ignore[reportFunctionMemberAccess]
    assert load_space(carrying).epochs == 9


def test_a_function_without_source_and_a_callable_object_work():
    namespace: dict = {}
    exec("def typed(trial): return {}", namespace)
    assert "typed" in load_space(namespace["typed"]).source

    class Callable:
        def __call__(self, trial: Trial) -> dict:
            return small(trial)

    assert check_space(load_space(Callable()), {}, 5).n_searched == 1


def test_loading_leaves_nothing_beside_the_file(tmp_path):
    load_space(write(tmp_path, "EPOCHS = 3\ndef space(trial): return {}\n"))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conservativ", "unknown space 'conservativ'; did you mean 'conservative'? Available: amb"),
        ("../../x", "space=../../x is neither a name nor a .py file"),
        ("spaces/conservative", "is neither a name nor a .py file"),
        ("nowhere/mine.py", "space=nowhere/mine.py: there is no such file"),
        ("", "unknown space ''"),
    ],
)
def test_names_that_lead_nowhere(text, message):
    with pytest.raises(UserError) as raised:
        load_space(text)
    assert message in str(raised.value)


def test_a_folder_is_no_space(tmp_path):
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(UserError, match="there is no such file"):
        load_space(str(tmp_path / "folder.py"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("EPOCHS = 3\n\nfoo\n", "{path}:3: NameError: name 'foo' is not defined"),
        ("def space(trial:\n", "{path}:1: SyntaxError: "),
        ("EPOCHS = 3\nimport nothing_such\n", "{path}:2: ModuleNotFoundError: No module named"),
        ("import sys\nsys.exit(3)\n", "{path}:2: SystemExit: 3"),
        ("import json\njson.loads('{')\n", "{path}:2: JSONDecodeError: "),
        ("EPOCHS = 3\n", "{path}: has no function space(trial)"),
        ("EPOCHS = 3\nspace = 4\n", "{path}: has no function space(trial)"),
        ("def space(trial): return {}\n", "{path}: has no EPOCHS; write EPOCHS = 50"),
        ("EPOCHS = 0\ndef space(trial): return {}\n", "{path}: EPOCHS = 0 must be a whole number"),
        ("EPOCHS = '3'\ndef space(trial): return {}\n", "{path}: EPOCHS = '3' must be"),
        ("", "{path}: has no function space(trial)"),
        ("a = '\0'", "{path}"),
    ],
)
def test_a_broken_file_reports_itself_and_its_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(UserError) as raised:
        load_space(path)
    assert str(raised.value).startswith(message.format(path=path))
    assert "\n" not in str(raised.value)


def test_a_binary_file_is_not_python(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(b"EPOCHS = 3\xff\xfe")
    with pytest.raises(UserError, match="is not Python: byte 10"):
        load_space(path)
