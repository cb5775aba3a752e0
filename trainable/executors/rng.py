"""Random numbers of one member: seeded by its own seed, on the device where it trains."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def generator_of(seed: int, device: torch.device) -> torch.Generator:
    """Returns a member's generator."""
    return torch.Generator(device).manual_seed(seed)


def set_state(generator: torch.Generator, state: Tensor) -> None:
    """Sets a generator to a saved state; one of another kind of device gives it a new seed."""
    if state.numel() == generator.get_state().numel():
        generator.set_state(state)
    else:
        digest = hashlib.sha256(state.numpy().tobytes()).digest()
        generator.manual_seed(int.from_bytes(digest[:8], "little"))


@contextmanager
def drawing_from(generator: torch.Generator) -> Iterator[None]:
    """Lets layers draw from a member's generator: torch's default one has its state meanwhile."""
    default = torch.default_generator
    if generator.device.type == "cuda":
        index = generator.device.index
        torch.cuda.init()
        index = torch.cuda.current_device() if index is None else index
        default = torch.cuda.default_generators[index]
    before = default.get_state()
    default.set_state(generator.get_state())
    try:
        yield
        generator.set_state(default.get_state())
    finally:
        default.set_state(before)
