"""Seeds for what is drawn at random, so that no draw depends on what was drawn before it."""

import numpy as np


def draw_seed(*numbers: int) -> int:
    """One seed out of several numbers, such as a run's seed and the number of a batch."""
    return int(np.random.default_rng(numbers).integers(2**31))
