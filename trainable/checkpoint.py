"""A member on disk: tensors as safetensors, plain numbers as JSON in its header; never a pickle."""

import json
import os
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainable.errors import UserError
from trainable.member import Saved

NAME = "checkpoint.safetensors"


def write(folder: Path, saved: Saved, facts: dict[str, Any] | None = None) -> Path:
    """Writes a member's state as one file, atomically; returns its path.

    Args:
        folder: of the trial; made if missing.
        saved: the state.
        facts: JSON-able, kept beside the state.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    header = {"record": saved.record, "executor": saved.executor, "facts": facts or {}}
    part = folder / f".{NAME}.{os.getpid()}"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in saved.tensors.items()}
    save_file(tensors, part, metadata={"asharpe": json.dumps(header)})
    part.replace(path)
    return path


def read(folder: Path) -> Saved | None:
    """Returns the state in `folder`, or None when there is none.

    Raises:
        UserError: the file is torn or not one of ours.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["asharpe"])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); remove the file to train this trial from its start"
        ) from error
    return Saved(tensors, header["record"], header["executor"])
