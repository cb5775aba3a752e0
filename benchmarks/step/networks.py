"""Networks over windows as `benchmarks.step` reads them: `tcn16x3w20`, `graph32x2w20` and so on."""

import re
from typing import Any

from trainable.models import MODELS

TYPED = re.compile(r"([a-z]+)(\d+)x(\d+)w(\d+)")
LAYERS = {"graph": "model/graph_layers"}  # what else than `model/layers` counts them
SMALL_GRAPH = {"model/encoder": "lstm"}  # as graph_conservative has it


def params_of(network: str) -> dict[str, Any] | None:
    """Returns the configuration of an entry of `MODELS` with a width, layers and a window.

    Args:
        network: as typed.

    Returns:
        Parameters by name; None: it is no such text, or no such entry.
    """
    found = TYPED.fullmatch(network)
    if found is None or found[1] not in MODELS:
        return None
    name, width, layers, window = found[1], *map(int, found.groups()[1:])
    params = {"model/name": name, "model/hidden": width, "data/window": window}
    params[LAYERS.get(name, "model/layers")] = layers
    return params | (SMALL_GRAPH if name == "graph" else {})
