"""Where the statistics of clean images lie, so that the service can tell strange ones without a network."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from training.novelty import shrunken_whitening
from trust.image_statistics import CleanStatistics, image_novelty, log_statistics
from trust.preprocess import Pixels

LEAST_SCALE = 0.01
"""Standard deviation below which none of a log statistic counts: one that never varied shall not decide alone."""


def fit_image_novelty(
    fitting: Iterable[Pixels], ranked: Iterable[Pixels]
) -> tuple[CleanStatistics, NDArray[np.float32]]:
    """What makes an image's novelty, fitted on some clean images, and the novelties (M,) of others.

    A live image is ranked among the others: had they been fitted to, they would lie nearer to the centre than any new
    image, and false alarms would come more often than promised (split conformal prediction: Papadopoulos et al., 2002).

    Args:
        fitting: batches (N, H, W, C).
        ranked: batches of images that are as clean and not among them.
    """
    statistics = np.concatenate([log_statistics(pixels) for pixels in fitting])
    centre = statistics.mean(axis=0)
    whitening = shrunken_whitening(statistics - centre, LEAST_SCALE)
    clean = CleanStatistics(centre=centre.tolist(), whitening=whitening.tolist())
    return clean, np.concatenate([image_novelty(clean, pixels) for pixels in ranked]).astype(np.float32)
