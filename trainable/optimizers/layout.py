"""Which columns of flat parameters [K, P] are which tensor of a model.

An elementwise update does not need to know. One that looks at a whole tensor does, such as at its
norm, and so does the learning rate of heads.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Part(NamedTuple):
    """One tensor of a model.

    Attributes:
        name: as `state_dict` has it.
        start: its first column.
        shape: of one member's.
    """

    name: str
    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.start, self.start + self.size)


Layout = Sequence[Part]


def layout_of(views: Callable[[Tensor], Mapping[str, Tensor]], size: int) -> Layout:
    """Returns the parts of a batched model's flat parameters.

    Args:
        views: flat [K, P] → its named parts as views [K, …].
        size: P.
    """
    found = views(torch.empty(1, size, device="meta"))
    return [Part(name, int(v.storage_offset()), tuple(v.shape[1:])) for name, v in found.items()]


def is_head(name: str) -> bool:
    """Says whether a parameter belongs to a head: its component begins with `head`."""
    return name.startswith("head")


def head_columns(layout: Layout) -> list[slice]:
    """Returns the columns of all heads; neighbours are one slice."""
    found: list[slice] = []
    for part in sorted((p for p in layout if is_head(p.name)), key=lambda p: p.start):
        columns = part.columns
        if found and found[-1].stop == columns.start:
            columns = slice(found.pop().start, columns.stop)
        found.append(columns)
    return found


class PartNorms:
    """L2 norms of the parts of flat tensors, and numbers spread over the parts' columns."""

    def __init__(self, layout: Layout) -> None:
        self._columns = [part.columns for part in layout]
        self._roots = torch.tensor([part.size**0.5 for part in layout], dtype=torch.float64)
        self._index = torch.empty(0, dtype=torch.int64)

    def norms(self, flat: Tensor) -> Tensor:
        """Returns the norm of each part of `flat` [K, P], [K, parts]."""
        each = [torch.linalg.vector_norm(flat[:, columns], dim=1) for columns in self._columns]
        return torch.stack(each, dim=1)

    def root_mean_squares(self, flat: Tensor) -> Tensor:
        """Returns the root mean square of each part of `flat` [K, P], [K, parts]."""
        self._roots = self._roots.to(flat.device)
        return self.norms(flat).div_(self._roots)

    def spread(self, values: Tensor, columns: int) -> Tensor:
        """Returns numbers [K, parts] repeated over the parts' columns, [K, columns]."""
        if len(self._index) != columns or self._index.device != values.device:
            index = torch.zeros(columns, dtype=torch.int64)
            for i, each in enumerate(self._columns):
                index[each] = i
            self._index = index.to(values.device)
        return values.index_select(1, self._index)
