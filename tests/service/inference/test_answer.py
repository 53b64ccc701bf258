"""One batch through both networks: what stands beside the decision, for the monitor and the journal."""

import numpy as np
import pytest

from service.inference.answer import answer_batch
from service.inference.bundle import open_bundle
from tests.tiny import edit_manifest, quadrants, take_oracle_out


def test_answer_carries_novelty_and_the_inputs_of_the_trust_head(tiny_bundle):
    bundle = open_bundle(tiny_bundle)
    # Quadrant means .6 .2 0 .4: mean of all pixels .3; log-odds of the confidence 3.0161, oracle logit 4 * .4 - 1.
    images = [quadrants(153, 51, 0, 102)[..., None], quadrants(0, 0, 0, 0)[..., None]]
    answer, dark = answer_batch(bundle, bundle.manifest.threshold, images)
    assert answer.novelty == pytest.approx(0.3)
    assert dark.novelty == 0
    assert answer.head_inputs.dtype == np.float32
    np.testing.assert_allclose(answer.head_inputs, [3.0161, 0.6], atol=1e-4)
    # Three equal logits: log-odds log(1/2).
    np.testing.assert_allclose(dark.head_inputs, [np.log(0.5), -1.0], atol=1e-6)


def test_bundle_that_measures_no_novelty_says_none(own_bundle):
    take_oracle_out(own_bundle)
    edit_manifest(own_bundle, classifier_outputs=("logits", "probabilities"))
    bundle = open_bundle(own_bundle)
    (answer,) = answer_batch(bundle, bundle.manifest.threshold, [quadrants(153, 51, 0, 102)[..., None]])
    assert answer.novelty is None
    # The margin of softmax(4.8, 1.6, 0): .95330 - .03886
    np.testing.assert_allclose(answer.head_inputs, [0.91444], atol=1e-4)
