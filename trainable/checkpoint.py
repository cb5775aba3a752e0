"""A member on disk: tensors as safetensors, plain numbers as JSON in its header; never a pickle."""

import json
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

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
    content = {"record": saved.record, "executor": saved.executor}
    header = json.dumps(content, allow_nan=False)
    part = folder / f".{path.name}.{os.getpid()}"
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in saved.tensors.items()}
    save_file(tensors, part, metadata={"asharpe": header, "crc32": _sum(header, tensors)})
    part.replace(path)
    for old in sorted(folder.glob(PATTERN))[:-KEPT]:
        old.unlink()
    return path


def read(folder: Path, known: int) -> Saved | None:
    """Returns the newest whole state in `folder` that is not ahead of what is known, or None.

    A damaged file is put aside as `*.damaged`, and said on standard error: the trial goes on from
    the one before, or from its start.

    Args:
        folder: of the trial.
        known: the last epoch whose report the driver has; a state beyond it would leave a gap.
    """
    for path in sorted(folder.glob(PATTERN), reverse=True):
        if _epoch(path) > known:
            continue
        try:
            return _read(path)
        except (SafetensorError, LookupError, ValueError) as error:
            aside = path.replace(path.with_suffix(".damaged"))
            print(f"{path} is damaged ({error}); it is {aside.name} now", file=sys.stderr)
    return None


def _read(path: Path) -> Saved:
    """Returns what a file holds; raises ValueError or what safetensors raises if it is damaged."""
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata() or {}
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = metadata["asharpe"]
    if metadata["crc32"] != _sum(header, tensors):
        raise ValueError("its check sum is another")
    content = json.loads(header)
    return Saved(tensors, content["record"], content["executor"])


def _sum(header: str, tensors: Mapping[str, Tensor]) -> str:
    """Returns the check sum of a header and tensors, by name."""
    total = zlib.crc32(header.encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.numpy().tobytes(), total)
    return f"{total:08x}"


def _epoch(path: Path) -> int:
    return int(path.stem.rpartition("-")[2])
