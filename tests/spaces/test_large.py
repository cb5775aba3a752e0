"""The largest network of the spaces trains, on small batches: 25.5 million parameters."""

from dataclasses import replace

import torch

from search.space.loading import load_space
from search.space.validation import check_space
from tests.fixtures.trainings import market
from trainable.config import input_shape
from trainable.models import count_parameters
from trainable.training.loop import Training
from trainable.training.member import MemberStart

STEPS = 8  # members can be saved at each eighth, so those that are asked for end there


def test_transformer_scaled_trains() -> None:
    config = check_space(load_space("transformer_scaled"), {}).configs[0]
    dataset = market(1, 600)
    count = count_parameters(config.model, input_shape(config, dataset.feature_groups))
    assert 25_000_000 < count < 26_000_000
    small = replace(config.train, batch_size=2, accumulate=2, steps_per_epoch=2 * STEPS)
    data = replace(config.data, window=2)
    each = replace(config, train=small, data=data)
    assert (small.precision, config.model.name) == ("bf16", "transformer")
    training = Training([MemberStart(0, each)], dataset)
    assert training.advance(steps=6) == []
    state = training.saved(0)
    partial = state.partial_epoch()
    assert partial is not None
    assert partial.steps == STEPS
    assert torch.isfinite(partial.results["losses"]).all()
    assert (partial.results["norms"] > 0).all()
