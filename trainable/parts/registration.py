"""Puts the entries of files of parts into our tables, for as long as a `with` block lasts.

A file that is there already, with the same text, is counted: it goes when its last block ends.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import is_dataclass
from types import ModuleType
from typing import Any

from trainable.cli.errors import UserError, unknown
from trainable.config import FEATURE_GROUPS, FIELDS, follow_tables
from trainable.hyperparameter import Hyperparameter, hyperparameters
from trainable.parts.entries import entry_of
from trainable.parts.faults import one_line
from trainable.parts.files import PartsFile
from trainable.parts.loaded import LOADED, LoadedFile
from trainable.parts.modules import forget, run
from trainable.parts.tables import TABLES, Table

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@contextmanager
def registered(files: Sequence[PartsFile]) -> Iterator[None]:
    """Has the parts of some files in our tables during a `with` block.

    Raises:
        UserError: a file fails, has no tables, or an entry cannot be taken; nothing is left then.
            An exception of the block that arises in one of the parts becomes one, too.
    """
    with ExitStack() as stack:
        for file in files:
            register(file)
            stack.callback(unregister, file)
        with one_line():
            yield


def register(file: PartsFile) -> None:
    """Puts the parts of a file into our tables, until as many calls of `unregister`.

    Raises:
        UserError: it fails, has no tables, or an entry cannot be taken; nothing is left then.
    """
    there = LOADED.get(file.name)
    if there is not None:
        if there.file.sha256 != file.sha256:
            raise UserError(
                f"{file.shown}: another {file.name}.py is loaded already, with another text; "
                "rename one of the two files"
            )
        there.uses += 1
        return
    module = _run(file)
    loaded = LoadedFile(file)
    LOADED[file.name] = loaded
    try:
        for table, entries in _tables(vars(module), file.shown):
            for name, value in entries.items():
                _add(loaded, table, name, value)
        _follow(file)
    except BaseException:
        _remove(loaded)
        raise


def unregister(file: PartsFile) -> None:
    """Takes back one call of `register`; after the last one nothing of the file is left."""
    loaded = LOADED.get(file.name)
    if loaded is None:
        return
    loaded.uses -= 1
    if loaded.uses == 0:
        _remove(loaded)


def entries_of(file: PartsFile) -> list[tuple[Table, str]]:
    """Returns table and name of each entry of a file that is loaded."""
    return [(TABLES[table], name) for table, name in LOADED[file.name].entries]


def owner_of(table: Table, name: str) -> PartsFile | None:
    """Returns the file that brought an entry; None: it is ours."""
    for loaded in LOADED.values():
        if (table.name, name) in loaded.entries:
            return loaded.file
    return None


def _run(file: PartsFile) -> ModuleType:
    """Runs a file as a module; raises `UserError` where it writes into a table of ours."""
    ours = {table.name: dict(table.entries) for table in TABLES.values()}
    try:
        module = run(file)
    finally:
        changed = [table for table in TABLES.values() if table.entries != ours[table.name]]
        for table in changed:
            table.entries.clear()
            table.entries.update(ours[table.name])
    if changed:
        forget(file)
        name = changed[0].name
        raise UserError(
            f"{file.shown}: it changes our own {name}; write a dict of your own, such as "
            f'{name} = {{"mine": …}}'
        )
    return module


def _tables(names: Mapping[str, Any], shown: str) -> Iterator[tuple[Table, dict[str, Any]]]:
    """Yields the tables of a module with what stands in them."""
    found = [TABLES[name] for name in TABLES if name in names]
    own = [name for name in names if name.isupper() and name.rstrip("S") + "S" in TABLES]
    if not found:
        if own:
            raise unknown(f"table in {shown}:", own[0], TABLES)
        raise UserError(
            f"{shown}: has none of the tables {', '.join(TABLES)}; write, for example, "
            'MODELS = {"mine": Mine} at its end'
        )
    for table in found:
        entries = names[table.name]
        if entries is table.entries:
            raise UserError(f"{shown}: {table.name} is our own table; write a dict of your own")
        if not isinstance(entries, dict):
            raise UserError(
                f"{shown}: {table.name} is a {type(entries).__name__}; it must be a dict such as "
                f'{{"mine": …}}'
            )
        yield table, entries


def _add(loaded: LoadedFile, table: Table, name: Any, value: Any) -> None:
    """Adds one entry to our table."""
    shown = loaded.file.shown
    where = f"{shown}: {table.name}[{name!r}]"
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"{where}: a name is a word of letters, digits and _, such as 'mine'")
    if name in table.entries:
        owner = owner_of(table, name)
        whose = "ours has that name" if owner is None else f"{owner.shown} has that name"
        raise UserError(f"{where}: {whose}; choose another")
    entry = entry_of(table, name, value, shown)
    if table.group is not None:
        _check_fields(entry.config, table, where)
    if table.name == "FEATURES" and entry.group not in FEATURE_GROUPS:
        if not NAME.fullmatch(entry.group) or entry.group == "all":
            raise UserError(f"{where}: group {entry.group!r} must be a word, and not 'all'")
        FEATURE_GROUPS.append(entry.group)
        loaded.groups.append(entry.group)
    table.entries[name] = entry
    loaded.entries.append((table.name, name))
    loaded.code |= dict.fromkeys(_code_of(value, entry), f"{table.one} {name}")
    follow_tables()  # the next entry is held against its fields, too


def _code_of(value: Any, entry: Any) -> set[str]:
    """Returns the names of the classes and functions that an entry is made of."""
    inside = vars(value).values() if is_dataclass(value) else ()
    made_of: list[Any] = [value, getattr(entry, "config", None), *inside]
    return {one.__qualname__.partition(".")[0] for one in made_of if hasattr(one, "__qualname__")}


def _check_fields(config: type, table: Table, where: str) -> None:
    """Raises `UserError` where a field means something else than one that is there."""
    for name, found in hyperparameters(config).items():
        key = f"{table.group}/{name}"
        known = FIELDS.get(key)
        same = known is None or known.kind == found.kind
        if known is None or (same and (found == known or found.plain or known.plain)):
            continue
        others = [
            entry
            for entry, one in table.entries.items()
            if hyperparameters(one.config).get(name) == known
        ]
        raise UserError(
            f"{where}: {key} ({_said(found)}) means something else in {table.one} "
            f"{others[0] if others else '…'} ({_said(known)}); a name in a space means one thing: "
            "rename the field, or leave out what you say of its values"
        )


def _said(known: Hyperparameter) -> str:
    """Returns what values a field takes, in words."""
    parts = [known.kind.words(), known.range, " or ".join(known.choices)]
    parts.append("own to each member of a cohort" if known.per_member else "")
    return ", ".join(filter(None, parts))


def _follow(file: PartsFile) -> None:
    if not LOADED[file.name].entries:
        raise UserError(f"{file.shown}: its tables are empty; add an entry, or leave it out")


def _remove(loaded: LoadedFile) -> None:
    for table, name in loaded.entries:
        TABLES[table].entries.pop(name, None)
    for group in loaded.groups:
        FEATURE_GROUPS.remove(group)
    del LOADED[loaded.file.name]
    forget(loaded.file)
    follow_tables()
