"""What `run.json` says of the data: what a run rests on, and what others are compared by."""

from typing import Any

import numpy as np

from search.settings.settings import SearchSettings
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.splits import PARTS
from trainable.data.row_hashes import row_hashes, seen_hashes

SEEN = ("train", "valid")  # parts whose rows a search reads


def data_record(dataset: Dataset, settings: SearchSettings, periods: np.ndarray) -> dict[str, Any]:
    """Returns the keys `data`, `data_quality` and `split` of `run.json`.

    Args:
        dataset: of the search.
        settings: of the search.
        periods: [V] datetime64[ns], the validation periods on which every trial is scored.
    """
    return {
        "data": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "symbols": list(dataset.symbols),
            "intraday": dataset.intraday,
            "horizon": dataset.horizon,
            "lag": dataset.lag,
            "returns_lag": dataset.lag if settings.data.returns else None,
            "cost_bps": dataset.cost_bps,
            "overnight": dataset.overnight,
            "delisting_return": dataset.delisting_return,
            "periods_per_year": dataset.periods_per_year,
            "train_rows": len(dataset.train_rows),
            "valid_rows": len(dataset.valid_rows),
            "validation_periods": len(periods),
            "features": {name: list(names) for name, names in dataset.groups().items()},
            "row_hashes": " ".join(row_hashes(dataset)),
            "seen_hashes": {part: " ".join(seen_hashes(dataset, part)) for part in SEEN},
        },
        "data_quality": dataset.quality,
        "split": {part: [f"{date:.19}" for date in dataset.dates(part)] for part in PARTS},
    }
