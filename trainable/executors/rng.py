"""Random numbers of one member: seeded by its own seed, on the device where it trains."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def draws(seed: int, device: torch.device) -> torch.Generator:
    """Returns a member's generator."""
    return torch.Generator(device).manual_seed(seed)


def go_on(draw: torch.Generator, state: Tensor) -> None:
    """Takes a generator's state back; that of another kind of device seeds it anew."""
    if state.numel() == draw.get_state().numel():
        draw.set_state(state)
    else:
        digest = hashlib.sha256(state.numpy().tobytes()).digest()
        draw.manual_seed(int.from_bytes(digest[:8], "little"))


@contextmanager
def drawing(draw: torch.Generator) -> Iterator[None]:
    """Lets layers, that know torch's own generator only, draw from a member's instead."""
    own = torch.default_generator
    if draw.device.type == "cuda":
        index = draw.device.index
        torch.cuda.init()
        own = torch.cuda.default_generators[torch.cuda.current_device() if index is None else index]
    before = own.get_state()
    own.set_state(draw.get_state())
    try:
        yield
        draw.set_state(own.get_state())
    finally:
        own.set_state(before)
