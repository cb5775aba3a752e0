"""The folder of an ensemble, such as `best/`: written whole, and checked as it is read.

`config.json` names the members and holds the check sums of their files, and is written last. A
member whose files are there already, with other content, gets another folder; what `config.json`
no longer names goes at the end. So a kill at any moment leaves the old ensemble or the new one.
"""

import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainable.cli.errors import UserError
from trainable.io.atomic import json_text, make_folder, not_written, write_atomic
from trainable.io.checksums import DamagedError, checked, crc32, with_checksum
from trainable.io.json_file import loads
from trainable.io.temporary import remove_temporary
from trainable.prediction.facts import Facts
from trainable.prediction.predictor import CONFIG, MODEL

MEMBERS = "members"
WHICH = {"best": "best", "refit": "best_refit"}  # folders of a run


@dataclass(frozen=True)
class MemberFiles:
    """One trained model of an ensemble, as it is stored.

    Attributes:
        number: of its trial.
        configuration: number of its configuration's first trial.
        config: content of its `config.json`, without the check sum.
        model: content of its `model.safetensors`.
    """

    number: int
    configuration: int
    config: Mapping[str, Any]
    model: bytes


@dataclass(frozen=True)
class Named:
    """A member as the ensemble's `config.json` names it.

    Attributes:
        number, configuration: as of `MemberFiles`.
        folder: of its files, from that of the ensemble.
        config_crc32, model_crc32: check sums of them.
    """

    number: int
    configuration: int
    folder: str
    config_crc32: str
    model_crc32: str


@dataclass(frozen=True)
class Contents:
    """What an ensemble's `config.json` says.

    Attributes:
        first: number of the configuration that ranks first, of the first trial of it.
        facts: of the data.
        members: in the order of the ranking, all of one weight.
        more: what else was noted: versions, what the ranking says, what it was trained on.
    """

    first: int
    facts: Facts
    members: tuple[Named, ...]
    more: Mapping[str, Any]


def write_ensemble(
    folder: Path,
    first: int,
    facts: Facts,
    members: Iterable[MemberFiles],
    more: Mapping[str, Any],
) -> None:
    """Writes an ensemble in the place of what was there.

    Args:
        folder: made if missing.
        first: number of the configuration that ranks first.
        facts: of the data.
        members: one after another, so that one model at a time is in memory.
        more: JSON-able, kept beside.

    Raises:
        UserError: a file cannot be written; what was there still is.
    """
    for path in (folder, *folder.glob(f"{MEMBERS}/*")):
        remove_temporary(path)  # of a writer that was killed
    named = [_write_member(folder, member) for member in members]
    weight = 1.0 / len(named)
    content = {
        "first": first,
        "members": [
            {
                "number": one.number,
                "configuration": one.configuration,
                "weight": weight,
                "folder": one.folder,
                "config_crc32": one.config_crc32,
                "model_crc32": one.model_crc32,
            }
            for one in named
        ],
        **more,
        "data": facts.record(),
    }
    write_atomic(folder / CONFIG, _text(content))
    _remove_others(folder, {one.folder for one in named})


def read_contents(folder: Path) -> Contents | None:
    """Returns what an ensemble's `config.json` says; None where it is that of a single model.

    Raises:
        UserError: it is damaged.
        FileNotFoundError: it is not there.
    """
    file = folder / CONFIG
    text = file.read_bytes()
    try:
        content = checked(loads(text))
        if "members" not in content:
            return None
        members = tuple(
            Named(
                int(one["number"]),
                int(one["configuration"]),
                str(one["folder"]),
                str(one["config_crc32"]),
                str(one["model_crc32"]),
            )
            for one in content["members"]
        )
        if not members or any(_leads_out(one.folder) for one in members):
            raise DamagedError("its members are not those of an ensemble")
        used = {"first", "members", "data"}
        more = {key: value for key, value in content.items() if key not in used}
        return Contents(int(content["first"]), Facts.of(content["data"]), members, more)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(file, error) from error


def check_member(folder: Path, member: Named) -> None:
    """Checks the two files of a member.

    Raises:
        UserError: one is missing, or is not the one that the ensemble was written with.
    """
    for name, expected in ((CONFIG, member.config_crc32), (MODEL, member.model_crc32)):
        file = folder / member.folder / name
        try:
            found = crc32(file.read_bytes())
        except OSError as error:
            raise damaged(file, error) from error
        if found != expected:
            raise damaged(file, f"it is not the one that {folder / CONFIG} names")


def damaged(file: Path, why: object) -> UserError:
    """Returns what to say of a file of an ensemble that cannot be used."""
    said = str(why).partition("\n")[0]
    again = _written_anew(file)
    return UserError(
        f"{file} is not of an ensemble of this project, or damaged ({said}); restore it from a copy"
        + (f", or write it anew: {again}" if again else "")
    )


def _written_anew(file: Path) -> str | None:
    """Returns the command that writes the ensemble of a run again; None of one that lies alone."""
    for folder in file.parents:
        run = folder.parent
        if folder.name in WHICH.values() and (run / "run.json").is_file():
            words = ["search.refit", str(run)]
            if folder.name == WHICH["best"]:
                words = ["search.run", f"name={run.name}", f"runs_dir={run.parent}", "resume=true"]
            return shlex.join(["python", "-m", *words])
    return None


def _write_member(folder: Path, member: MemberFiles) -> Named:
    config = _text(member.config)
    sums = crc32(config), crc32(member.model)
    place = _place(folder, member.number, (config, member.model))
    path = folder / place
    make_folder(path)
    for name, content in ((MODEL, member.model), (CONFIG, config)):
        if not (path / name).is_file():
            write_atomic(path / name, content)
    return Named(member.number, member.configuration, place, *sums)


def _place(folder: Path, number: int, contents: Sequence[bytes]) -> str:
    """Returns a folder for a member: none that holds other content, which may be in use."""
    turn = 1
    while True:
        place = f"{MEMBERS}/{number}" + (f"-{turn}" if turn > 1 else "")
        files = folder / place / CONFIG, folder / place / MODEL
        same = [
            not file.is_file() or file.read_bytes() == content
            for file, content in zip(files, contents, strict=True)
        ]
        if all(same):
            return place
        turn += 1


def _remove_others(folder: Path, used: set[str]) -> None:
    """Removes what the ensemble does not name: members of before, and a single model's file."""
    try:
        for path in (folder / MEMBERS).iterdir():
            if f"{MEMBERS}/{path.name}" not in used:
                shutil.rmtree(path)
        (folder / MODEL).unlink(missing_ok=True)
    except OSError as error:
        raise not_written(folder, error) from error


def _leads_out(folder: str) -> bool:
    return Path(folder).is_absolute() or ".." in Path(folder).parts


def _text(content: Mapping[str, Any]) -> bytes:
    whole = with_checksum(loads(json_text(content)))
    return f"{json_text(whole, indent=2)}\n".encode()
