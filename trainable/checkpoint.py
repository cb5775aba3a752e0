"""A member on disk: tensors as safetensors, plain numbers as JSON in its header; never a pickle."""

import json
import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trainable.errors import UserError
from trainable.member import Saved

PATTERN = "checkpoint-*.safetensors"
KEPT = 2  # the newest, and the one before it for a driver that does not know of the newest


def write(folder: Path, saved: Saved) -> Path:
    """Writes a member's state as one file, atomically, and keeps the one before; returns its path.

    Args:
        folder: of the trial; made if missing.
        saved: the state at the end of an epoch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PATTERN.replace("*", f"{saved.record['epoch']:06d}")
    header = {"record": saved.record, "executor": saved.executor}
    part = folder / f".{path.name}.{os.getpid()}"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in saved.tensors.items()}
    save_file(tensors, part, metadata={"asharpe": json.dumps(header, allow_nan=False)})
    part.replace(path)
    for old in sorted(folder.glob(PATTERN))[:-KEPT]:
        old.unlink()
    return path


def read(folder: Path, known: int) -> Saved | None:
    """Returns the newest state in `folder` that is not ahead of what is known, or None.

    Args:
        folder: of the trial.
        known: the last epoch whose report the driver has; a state beyond it would leave a gap.

    Raises:
        UserError: the file is torn or not one of ours.
    """
    found = [path for path in sorted(folder.glob(PATTERN)) if _epoch(path) <= known]
    if not found:
        return None
    path = found[-1]
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["asharpe"])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path} is damaged ({error}); remove the file to train this trial from its start"
        ) from error
    return Saved(tensors, header["record"], header["executor"])


def _epoch(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
