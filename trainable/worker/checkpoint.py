"""A member on disk: tensors as safetensors, plain numbers as JSON in its header; never a pickle."""

import json
import re
import sys
import zlib
from collections.abc import Mapping
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from trainable.io.file_store import FileStore, writing
from trainable.io.json_file import loads
from trainable.training.member import MemberState

NAME = "checkpoint-{:06d}-{:09d}.safetensors"  # epochs that have ended, and steps after them
OURS = re.compile(r"checkpoint-[0-9]{6,12}-[0-9]{9,12}\.safetensors")  # others are not read
KEPT = 2  # the newest, and the one before it for a driver that does not know of the newest
LENGTH = 8  # bytes in which a file says how long its header is


def write(store: FileStore, saved: MemberState) -> str:
    """Writes a member's state as one file, at once, and keeps the one before; returns its name.

    Args:
        store: of the trial; made if missing.
        saved: the state.

    Raises:
        NotWrittenError: it cannot be written; those before are untouched.
    """
    name = NAME.format(saved.epoch, saved.steps)
    content = {"record": saved.record, "executor": saved.executor}
    header = json.dumps(content, allow_nan=False)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in saved.tensors.items()}
    with writing(store):
        store.write(name, save(tensors, {"asharpe": header, "crc32": _sum(header, tensors)}))
        for old in _checkpoints(store)[:-KEPT]:
            store.remove(old)
    return name


def read(store: FileStore, known: int) -> MemberState | None:
    """Returns the newest whole state of a trial that is not ahead of what is known, or None.

    A damaged file is put aside as `*.damaged`, and said on standard error: the trial goes on from
    the one before, or from its start.

    Args:
        store: of the trial.
        known: the last epoch whose report the driver has; a state beyond it would leave a gap.
    """
    for name in reversed(_checkpoints(store)):
        if int(name.split("-")[1]) > known:
            continue
        content = store.read(name)
        try:
            return _state(content)
        except (SafetensorError, AttributeError, LookupError, TypeError, ValueError) as error:
            aside = name.removesuffix("safetensors") + "damaged"
            with writing(store):
                store.rename(name, aside)
            print(f"{store}/{name} is damaged ({error}); it is {aside} now", file=sys.stderr)
    return None


def newest(store: FileStore) -> str | None:
    """Returns the name of a trial's newest checkpoint; None without any."""
    return max(_checkpoints(store), default=None)


def _checkpoints(store: FileStore) -> list[str]:
    """Returns the names of a trial's checkpoints, the newest last."""
    return [name for name in store.names() if OURS.fullmatch(name)]


def _state(content: bytes) -> MemberState:
    """Returns what a file holds; raises ValueError or what safetensors raises if it is damaged."""
    tensors = load(content)
    end = LENGTH + int.from_bytes(content[:LENGTH], "little")
    metadata: dict[str, str] = loads(content[LENGTH:end])["__metadata__"]
    header = metadata["asharpe"]
    if metadata["crc32"] != _sum(header, tensors):
        raise ValueError("its check sum is another")
    found: dict[str, Any] = loads(header)
    return MemberState(tensors, found["record"], found["executor"])


def _sum(header: str, tensors: Mapping[str, Tensor]) -> str:
    """Returns the check sum of a header and tensors, by name."""
    total = zlib.crc32(header.encode())
    for name, tensor in sorted(tensors.items()):
        total = zlib.crc32(f"{name} {tensor.dtype} {list(tensor.shape)}".encode(), total)
        total = zlib.crc32(tensor.numpy().tobytes(), total)
    return f"{total:08x}"
