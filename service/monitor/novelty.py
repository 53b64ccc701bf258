"""How unlike the reference images an image is, as a number whose mean is known: a conformal p-value.

Of an image like the reference ones it is uniform on [0, 1], whatever novelty measures; of stranger ones it is small.
The alarm watches its mean, which makes it a conformal test of exchangeability: Vovk, "Testing randomness online",
Statistical Science 2021, arXiv:1906.09256.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from service.monitor.estimates import Z_95


class NoveltyReference:
    """The novelties of the reference images, which live ones are ranked among.

    Args:
        novelties: (M,), finite, at least one.
        seed: of the draws that break ties.

    Raises:
        ValueError: there is no novelty to compare with, or one that is not finite.
    """

    def __init__(self, novelties: ArrayLike, seed: int = 0) -> None:
        values = np.asarray(novelties, float)
        if not values.size or not np.isfinite(values).all():
            raise ValueError(f"reference has {values.size} novelties; wanted at least one, and finite ones")
        self._sorted = np.sort(values.ravel())
        self._generator = np.random.default_rng(seed)

    @property
    def mean_lower(self) -> float:
        """Below what no mean p-value of clean traffic is, with 97.5 % confidence over draws of the reference images.

        1/2 on average over such draws; for the one at hand off by about 1 / sqrt(12 M), which an alarm on the mean
        would find in the long run. Less than this is what to watch for.
        """
        return 0.5 - Z_95 / math.sqrt(12 * len(self._sorted))

    def p_values(self, novelties: ArrayLike) -> NDArray[np.float64]:
        """For each image the share of the reference images that are at least as novel, itself among them, (N,).

            p = (#{reference > novelty} + U (#{reference = novelty} + 1)) / (M + 1),   U uniform on [0, 1)

        Ties are broken at random, by the next draw for each image. An infinite novelty is beyond all others, and so is
        NaN.

        >>> reference = NoveltyReference([1.0, 2.0, 3.0])
        >>> np.floor(4 * reference.p_values([2.5, 9.0])).tolist()    # one is more novel; none is
        [1.0, 0.0]
        """
        values = np.asarray(novelties, float)
        values = np.where(np.isnan(values), math.inf, values)
        below, up_to = (np.searchsorted(self._sorted, values, side) for side in ("left", "right"))
        count = len(self._sorted)
        p_values: NDArray[np.float64] = (count - up_to + self._generator.random(len(values)) * (up_to - below + 1)) / (
            count + 1
        )
        return p_values
