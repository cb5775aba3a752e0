"""What may follow on a command line, for the shells' TAB: keys, values, run folders, paths.

Nothing heavy is imported: the keys of a command are read from the source of its settings.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from click import Command
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from search.commands import ROOT, Entry, file_of
from search.settings.checks import OBJECTIVES, PRUNING, SAMPLERS
from search.settings.reading import SHORT
from search.settings.settings import SearchSettings
from trainable.cli.options import Kind, describe, kinds_of, meanings_in
from trainable.data.settings import OVERNIGHT, DataSettings

SOURCES = ("us20", "sp500", "synthetic")  # those of `trainable.data.sources`
RUNS = Path("runs")
TEXT, PATH, TRUTH = Kind(str), Kind(str, path=True), Kind(bool)
CHOICES = {
    "data": SOURCES,
    "data.source": SOURCES,
    "data.overnight": OVERNIGHT,
    "objective": OBJECTIVES,
    "sampler": SAMPLERS,
    "pruning": PRUNING,
    "address": ("auto",),
    "cohort": ("auto",),
}
FLAGS = {"--help": "what it takes", "--json": "one JSON document on standard output"}
VARIABLE = "_ASHARPE_COMPLETE"

BASH = """\
%(complete_func)s() {
    mapfile -t COMPREPLY < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" \\
        COMP_WORDBREAKS="$COMP_WORDBREAKS" %(complete_var)s=bash_complete "$1")
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[=/] ]]; then compopt -o nospace; fi
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local line
    local -a more more_said last last_said
    for line in "${(@f)$(COMP_LINE="${(j: :)words[1,CURRENT]}" \\
        %(complete_var)s=zsh_complete %(prog_name)s)}"; do
        if [[ -z $line ]]; then continue; fi
        if [[ ${line%%%%$'\\t'*} == *[=/] ]]; then
            more+=("${line%%%%$'\\t'*}") more_said+=("${line/$'\\t'/  }")
        else
            last+=("${line%%%%$'\\t'*}") last_said+=("${line/$'\\t'/  }")
        fi
    done
    if (( $#last )); then compadd -l -U -V last -d last_said -a last; fi
    if (( $#more )); then compadd -l -U -V more -S '' -d more_said -a more; fi
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
FISH = """\
function %(complete_func)s
    env COMP_LINE=(commandline -cp | string collect) %(complete_var)s=fish_complete %(prog_name)s
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class OfLine(ShellComplete):
    """Completes a whole line up to the cursor, which every shell can tell."""

    def get_completion_args(self) -> tuple[list[str], str]:
        """Returns the whole words after the script's name, and the one to complete."""
        line = os.environ.get("COMP_LINE", "")
        words = split_arg_string(line)[1:]
        if not words or (line[-1:].isspace() and not line.endswith("\\ ")):
            return words, ""
        return words[:-1], words[-1]

    def format_completion(self, item: CompletionItem) -> str:
        """Returns value and meaning, between them a tab."""
        said = " ".join((item.help or "").split())
        return f"{item.value}\t{said}" if said else str(item.value)


class Bash(OfLine):
    """Bash takes values alone, from the last border of a word of its own on."""

    name = "bash"
    source_template = BASH

    def format_completion(self, item: CompletionItem) -> str:
        """Returns what follows the last `=` or `:`, quoted."""
        _, incomplete = self.get_completion_args()
        borders = [b for b in "=:" if b in os.environ.get("COMP_WORDBREAKS", "=:")]
        begin = max((incomplete.rfind(border) + 1 for border in borders), default=0)
        return re.sub(r"([^\w@%+=:,./~-])", r"\\\1", str(item.value)[begin:])


class Zsh(OfLine):
    """Zsh shows meanings beside values."""

    name = "zsh"
    source_template = ZSH


class Fish(OfLine):
    """Fish shows meanings beside values."""

    name = "fish"
    source_template = FISH


SHELLS: dict[str, type[OfLine]] = {each.name: each for each in (Bash, Zsh, Fish)}


def script_of(shell: str, command: Command) -> str:
    """Returns the script by which a shell completes a command."""
    return SHELLS[shell](command, {}, str(command.name), VARIABLE).source().rstrip("\n")


def completed(shell: str, command: Command) -> str:
    """Returns what the script of a shell asks for, a line each; nothing for another shell."""
    if shell not in SHELLS:
        return ""
    lines = SHELLS[shell](command, {}, str(command.name), VARIABLE).complete()
    return f"{lines}\n" if lines else ""  # an empty line would be a value, too


def completions(entry: Entry, words: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """Returns what may follow the words of a command.

    Args:
        entry: of the command.
        words: after its name.
        incomplete: the beginning of what follows.
    """
    if incomplete.startswith("-"):
        return _items(FLAGS, incomplete)
    kinds, meanings = keys_of(entry)
    key, equals, text = incomplete.partition("=")
    if equals:
        values = _values(key, kinds.get(key, TEXT), text)
        return [CompletionItem(f"{key}={value}") for value in values]
    given = {word.partition("=")[0] for word in words}
    offered = {f"{name}=": meanings.get(name, "") for name in kinds if name not in given}
    return [*_first(entry, words, incomplete), *_items(offered, incomplete)]


def keys_of(entry: Entry) -> tuple[dict[str, Kind], dict[str, str]]:
    """Returns what the keys of a command take, and what they mean."""
    kinds: dict[str, Kind] = {}
    meanings: dict[str, str] = {}
    for module, name in _classes(entry):
        own, said = _keys_in(module, name)
        kinds, meanings = {**kinds, **own}, {**meanings, **said}
    if "data.source" in kinds and entry.first != "data":
        kinds = (
            {"space": TEXT, "data": TEXT, **kinds} if "space" in kinds else {"data": TEXT, **kinds}
        )
        meanings = {**meanings, "data": SHORT.meaning}
    return {key: kind for key, kind in kinds.items() if not kind.mapping}, meanings


def _keys_in(module: str, name: str) -> tuple[dict[str, Kind], dict[str, str]]:
    light: dict[str, tuple[type, str]] = {
        "SearchSettings": (SearchSettings, ""), "DataSettings": (DataSettings, "data."),
    }  # fmt: skip
    if name in light:
        cls, prefix = light[name]
        said = {row.key: row.meaning for row in describe(cls, prefix)}
        return kinds_of(cls, prefix), said
    source = _source(module)
    kinds: dict[str, Kind] = {}
    meanings: dict[str, str] = {}
    for key, meaning in meanings_in(source, name).items():
        nested = re.search(rf"^    {key}: ([A-Z]\w*) =", source, re.MULTILINE)
        if nested is None:
            kinds[key], meanings[key] = _kind_in(source, key), meaning
            continue
        own, said = _keys_in(_module_of(source, nested[1], module), nested[1])
        before = "" if nested[1] in light else f"{key}."
        kinds |= {f"{before}{name}": kind for name, kind in own.items()}
        meanings |= {f"{before}{name}": text for name, text in said.items()}
    return kinds, meanings


def _module_of(source: str, name: str, module: str) -> str:
    """Returns the module that defines a class which a source names."""
    imported = re.search(rf"^from ([\w.]+) import [^\n]*\b{name}\b", source, re.MULTILINE)
    return imported[1] if imported else module


def _kind_in(source: str, key: str) -> Kind:
    """Returns what a field takes, as far as its annotation says so at a glance."""
    found = re.search(rf"^    {key}: ([^=\n]+)", source, re.MULTILINE)
    annotation = found[1] if found else ""
    return PATH if "PathText" in annotation else TRUTH if "bool" in annotation else TEXT


def _classes(entry: Entry) -> Iterator[tuple[str, str]]:
    for text in entry.settings:
        module, _, name = text.partition(":")
        yield module, name
    if not entry.settings:
        found = re.findall(r"^class (\w*Settings|Command)\b", _source(entry.module), re.MULTILINE)
        yield from ((entry.module, name) for name in found)


def _source(module: str) -> str:
    file = file_of(module)
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _first(entry: Entry, words: Sequence[str], incomplete: str) -> list[CompletionItem]:
    """Returns what a command is given before its keys."""
    named = sum("=" not in word for word in words)
    most = 2 if entry.first == "runs" else 1
    if not entry.first or named >= most:
        return []
    if entry.first in ("run", "runs"):
        values = _runs(incomplete)
        values += [path for path in _paths(incomplete) if not values and path.endswith("/")]
    else:
        sources = [name for name in SOURCES if name.startswith(incomplete)]
        values = [*(sources if entry.first == "data" else []), *_paths(incomplete)]
    return [CompletionItem(value) for value in dict.fromkeys(values)]


def _values(key: str, kind: Kind, text: str) -> list[str]:
    if kind.base is bool:
        return [value for value in ("true", "false") if value.startswith(text)]
    if key == "space":
        return [*(name for name in _spaces() if name.startswith(text)), *_paths(text, ".py")]
    if key == "name":
        return [file.parent.name for file in sorted(RUNS.glob(f"{_literal(text)}*/run.json"))]
    if key in CHOICES:
        return [value for value in CHOICES[key] if value.startswith(text)]
    return [*_paths(text)] if kind.path or key in ("data.path", "out") else []


def _spaces() -> list[str]:
    return sorted(file.stem for file in (ROOT / "spaces").glob("[!_]*.py"))


def _runs(begin: str) -> list[str]:
    """Returns the run folders in `runs/`, the newest first."""
    files = [f for f in RUNS.glob("*/run.json") if str(f.parent).startswith(begin)]
    return [str(f.parent) for f in sorted(files, key=lambda f: -f.stat().st_mtime)]


def _paths(begin: str, suffix: str = "") -> Iterator[str]:
    """Yields the files and folders whose paths begin so; folders end with a slash."""
    head, _, name = begin.rpartition("/")
    folder = f"{head}/" if "/" in begin else ""
    try:
        found = sorted(Path(folder or ".").expanduser().iterdir())
    except (OSError, RuntimeError):
        return
    for path in found:
        hidden = path.name.startswith(".") and not name.startswith(".")
        if path.name.startswith(name) and not hidden:
            if path.is_dir():
                yield f"{folder}{path.name}/"
            elif path.name.endswith(suffix):
                yield f"{folder}{path.name}"


def _items(offered: dict[str, str], incomplete: str) -> list[CompletionItem]:
    known = offered.items()
    return [CompletionItem(word, help=said) for word, said in known if word.startswith(incomplete)]


def _literal(text: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", text)
