"""What training does to inputs against overfitting: noise, and hidden rows of a window.

Each member draws from its own generator, at each step; predictions see the inputs as they are.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainable.config import TrainConfig


def changes_inputs(config: TrainConfig) -> bool:
    """Returns whether a member trains on changed inputs."""
    return config.feature_noise > 0 or config.time_mask > 0


def augmented(
    x: Tensor, configs: Sequence[TrainConfig], generators: Sequence[torch.Generator]
) -> Tensor:
    """Returns inputs with each member's noise, and with its hidden rows set to 0.

    Each earlier row of a window is hidden with the probability `time_mask` (as in SpecAugment's
    time masks, Park et al. 2019, but row by row); the present one never is.

    Args:
        x: [K, B, W, F]; not changed.
        configs: of the members.
        generators: of the members.
    """
    x = x.clone()
    for rows, config, generator in zip(x, configs, generators, strict=True):
        if config.feature_noise:
            drawn = torch.empty_like(rows).normal_(0, config.feature_noise, generator=generator)
            rows += drawn
        if config.time_mask and rows.shape[1] > 1:
            earlier = rows[:, :-1]
            drawn = torch.empty(earlier.shape[:2], device=x.device).uniform_(generator=generator)
            earlier.masked_fill_((drawn < config.time_mask).unsqueeze(-1), 0)
    return x
