"""Perturbs heads whose predictions have become too narrow, where a configuration asks for it.

A healthy network on noise predicts nearly a constant, and a good one only as wide as its
correlation with the target: so this is an option, and stops no trial. Each reset is counted.
"""

from trainable.training.member import Member

IN_A_ROW = 3  # evaluations that are too narrow before a reset
NEWEST = 0.5  # share of the latest evaluation in the smoothed spread
SIZE = 0.1  # of the noise, in standard deviations of each of the head's tensors


def needs_reset(member: Member, spread: float) -> bool:
    """Notes the spread of an evaluation; returns whether the head is to be perturbed now.

    Args:
        member: after its epoch.
        spread: of its validation predictions, in standard deviations of the target.
    """
    least = member.config.train.reset_below
    if not least:
        return False
    before = member.smoothed_spread
    now = spread if before is None else NEWEST * spread + (1 - NEWEST) * before
    member.smoothed_spread = now
    member.narrow = member.narrow + 1 if now < least else 0
    if member.narrow < IN_A_ROW:
        return False
    member.narrow, member.smoothed_spread = 0, None
    member.resets += 1
    return True
