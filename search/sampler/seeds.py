"""Seeds of suggestions and of trials, derived from the seed of the search."""

import numpy as np


def derive_seed(*entropy: int) -> int:
    """Returns a 31-bit seed that is well mixed from the given whole numbers, 0 or above."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0] & 0x7FFFFFFF)
