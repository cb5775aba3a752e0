"""The views that one worker's cohorts train on."""

from dataclasses import replace

import torch

from trainable.config import DataConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows, check_window, make_view

KEPT = 3  # scaled copies of the features, besides those in use


class SharedWindows:
    """Makes views of a dataset and keeps the latest; a copy in use lives as long as its user.

    Args:
        dataset: of the search.
        device: where the views are.
    """

    def __init__(self, dataset: Dataset, device: torch.device | str = "cpu") -> None:
        self.dataset, self.device = dataset, device
        self._latest: dict[DataConfig, Windows] = {}

    def of(self, config: DataConfig) -> Windows:
        """Returns the data as these settings show it; windows of all lengths share one copy."""
        check_window(config, self.dataset)
        key = replace(config, window=1)
        view = self._latest.pop(key, None)
        if view is None:
            while len(self._latest) >= KEPT:
                del self._latest[next(iter(self._latest))]
            view = make_view(self.dataset, key, self.device)
        self._latest[key] = view  # the latest is last
        return replace(view, window=config.window)
