"""The loss of a training step, also of a model whose networks have losses of their own."""

from torch import Tensor

from trainable.losses.base import Columns, Loss, LossResult, Targets


def training_loss(
    loss: Loss, prediction: Tensor, targets: Targets, columns: Columns, separate: bool
) -> LossResult:
    """Returns the loss of each of K members, and its slope in the shape of the predictions.

    Args:
        loss: of the members.
        prediction: [K, B, …]; where losses are separate [K, k, B, …].
        targets: of the same rows, each [K, B, …].
        columns: of the members, each [K, 1].
        separate: the loss of a member is the mean of those of its k networks. To the loss they are
            so many members.
    """
    if not separate:
        return loss.of_batch(prediction, targets, columns, training=True)
    shape = prediction.shape[:2]
    networks = shape[1]
    of_each = {name: column.repeat_interleave(networks, 0) for name, column in columns.items()}
    values, slope, parts = loss.of_batch(
        prediction.flatten(0, 1), targets.times(networks), of_each, training=True
    )
    return LossResult(
        values.view(shape).mean(1),
        slope.unflatten(0, shape) / networks,
        {name: part.view(shape).mean(1) for name, part in parts.items()},
    )
