"""A window's sums against those of the reference: distances by score, and which classes the change comes from."""

import math
from statistics import NormalDist

import numpy as np

from service.monitor.contributions import ClassSums, Contributions, contributions
from service.monitor.drift import LEVEL, Drift, chi_square, jensen_shannon, ks, psi, wasserstein
from service.monitor.window import BINS, Sums

Distances = dict[str, dict[str, Drift]]


def distances(live: Sums, reference: Sums, novelties: int, image_novelties: int) -> Distances:
    """Distances by score and statistic, of at least one answer; of a novelty only where the bundle measures it.

    Args:
        live, reference: sums over the same classes.
        novelties, image_novelties: reference images whose novelty is known.
    """
    found: Distances = {}
    for score, bins, expected in (
        ("trust", live.trust_bins, reference.trust_bins),
        ("confidence", live.confidence_bins, reference.confidence_bins),
    ):
        found[score] = {
            "psi": psi(bins, expected),
            "ks": ks(bins, expected),
            "wasserstein": wasserstein(bins, expected, width=1 / BINS),
            "jensen_shannon": jensen_shannon(bins, expected),
        }
    mix = live.by_class("answers"), reference.by_class("answers")
    found["predicted"] = {"chi_square": chi_square(*mix), "psi": psi(*mix)}
    for score, images, p_values in (
        ("novelty", novelties, live.p_values),
        ("image_novelty", image_novelties, live.image_p_values),
    ):
        count, total = p_values.tolist()
        if images and count > 0:
            found[score] = {"p_value_drop": p_value_drop(count, total, images)}
    return found


def p_value_drop(count: float, total: float, images: int) -> Drift:
    """How far the mean conformal p-value of a novelty lies below 1/2, its mean while images are like the reference.

    Uniform p-values have variance 1/12; the reference's images are a sample too, hence 1/N + 1/M.

    >>> round(p_value_drop(count=100, total=30.0, images=4800).value, 3)    # mean .3
    0.2
    """
    noise = (1 / count + 1 / images) / 12
    return Drift(0.5 - total / count, NormalDist().inv_cdf(LEVEL) * math.sqrt(noise))


def change(live: Sums, reference: Sums) -> Contributions:
    """Change of the NetTrustScore estimate since the reference, taken apart by predicted class."""
    return contributions(_class_sums(live), _class_sums(reference))


def _class_sums(sums: Sums) -> ClassSums:
    measures = ("answers", "question_answer", "question_answer_squares")
    return ClassSums(*(np.asarray(sums.by_class(measure)) for measure in measures))
