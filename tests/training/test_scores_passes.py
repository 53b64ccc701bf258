"""Further passes of a classifier: what they change about the network, and what they leave."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import nn

from training.classifier.network import Classifier, SmallResNet
from training.predict import predict
from training.scores.odin import STEPS, Odin, fit_odin
from training.scores.passes import ensemble, flipped, mc_dropout
from training.scores.several import flip_confidence, mean_probability
from trust.posthoc import max_softmax
from trust.preprocess import Preprocess


def network(dropout=0.0, seed=0):
    """Four by four grey pixels to three classes, with batch normalisation and dropout."""
    torch.manual_seed(seed)
    # Made outside inference mode, as a loaded classifier is: its weights take part in ODIN's gradient.
    with torch.inference_mode(False):
        layers = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.Linear(8, 3))
    return layers.eval()


def images(count=6):
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def _as_predictions_run():
    with torch.inference_mode():
        yield


def test_mirror_image_of_a_symmetric_image_changes_nothing():
    classifier, half = network(), images()[..., :2]
    symmetric = torch.cat([half, half.flip(3)], 3)
    logits = classifier(symmetric).numpy()
    again = flipped(classifier)(symmetric)["flipped_logits"].numpy()
    assert flip_confidence(logits, again) == pytest.approx(max_softmax(logits))


def test_flip_mirrors_left_and_right():
    top_left = nn.Sequential(nn.Flatten(), nn.Linear(16, 1, bias=False)).eval()
    top_left[1].weight.copy_(torch.eye(1, 16))
    shown = images(1)
    assert flipped(top_left)(shown)["flipped_logits"].item() == shown[0, 0, 0, 3]


def test_dropout_that_drops_nothing_is_the_plain_softmax():
    classifier = network(dropout=0.0)
    logits = classifier(images()).numpy()
    passes = mc_dropout(classifier, passes=4)(images())["dropout_logits"].numpy()
    assert passes.shape == (6, 4, 3)
    assert mean_probability(passes, logits.argmax(1)) == pytest.approx(max_softmax(logits))


def test_dropout_draws_anew_in_every_pass():
    passes = mc_dropout(network(dropout=0.5), passes=3)(images())["dropout_logits"]
    assert not torch.equal(passes[:, 0], passes[:, 1])
    assert not torch.equal(passes[:, 1], passes[:, 2])


def test_dropout_passes_repeat_with_the_seed():
    run = mc_dropout(network(dropout=0.5), passes=3)
    torch.manual_seed(7)
    first = run(images())["dropout_logits"]
    torch.manual_seed(7)
    assert torch.equal(run(images())["dropout_logits"], first)


def test_dropout_passes_leave_batch_statistics_and_evaluation_mode():
    classifier = network(dropout=0.5)
    before = classifier[2].running_mean.clone()
    mc_dropout(classifier, passes=2)(images())
    assert torch.equal(classifier[2].running_mean, before)
    assert not any(module.training for module in classifier.modules())


def test_network_without_dropout_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"no dropout layer.*leave Monte-Carlo out"):
        mc_dropout(nn.Linear(2, 2), passes=2)
    with pytest.raises(ValueError, match="0 passes"):
        mc_dropout(network(), passes=0)


def test_ensemble_of_equal_members_is_one_member():
    classifier = network()
    logits = classifier(images()).numpy()
    passes = ensemble([classifier] * 3)(images())["ensemble_logits"].numpy()
    assert mean_probability(passes, logits.argmax(1)) == pytest.approx(max_softmax(logits))


def test_ensemble_keeps_the_order_of_its_members():
    first, second = network(seed=0), network(seed=1)
    passes = ensemble([first, second])(images())["ensemble_logits"]
    assert torch.equal(passes, torch.stack([first(images()), second(images())], 1))


def test_ensemble_without_members_is_refused():
    with pytest.raises(ValueError, match="without members"):
        ensemble([])


class Ramp(nn.Module):
    """Logits (g, 0) of two pixels, g = first + 100 max(second - .5, 0): steep where the second is bright."""

    def forward(self, pixels):
        first, second = pixels.flatten(1).T
        steep = first + 100 * torch.relu(second - 0.5)
        return torch.stack([steep, torch.zeros_like(steep)], 1)


def pixels(*pairs):
    return torch.tensor(pairs).view(-1, 1, 1, 2)


def test_odin_moves_the_image_towards_its_answer_and_divides_by_the_temperature():
    # Moved by .01 each: g = .51 + 100 * .11 = 11.51; the second image is on the flat side, g = .51. Two classes: their
    # log-odds at temperature 10 are g / 10, ten times that is g.
    scores = Odin(Ramp(), temperature=10.0, step=0.01)(pixels((0.5, 0.6), (0.5, 0.2)))["odin"]
    assert scores.tolist() == pytest.approx([11.51, 0.51], rel=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 5.0, 1000.0])
def test_odin_without_a_step_is_the_softmax_confidence_at_its_temperature(temperature):
    logits = network()(images()).numpy()
    scores = Odin(network(), temperature, step=0.0)(images())["odin"].numpy()
    # Three classes: odin = T (log-odds + log 2).
    assert expit(scores / temperature - np.log(2)) == pytest.approx(max_softmax(logits / temperature))


def test_odin_tells_very_sure_answers_apart_in_float32():
    # Log-odds of 40 and 50: softmax says 1 of both.
    scores = Odin(Ramp(), temperature=1.0, step=0.0)(pixels((0.0, 0.9), (0.0, 1.0)))["odin"].float()
    assert scores.tolist() == pytest.approx([40, 50], rel=1e-5)


def test_odin_takes_the_smallest_step_that_tells_familiar_images_from_foreign_ones():
    # Familiar: g = .5 + .1 + 101 step; foreign: .7 + step. They part where 100 step > .1: the fourth step, .0012.
    familiar, foreign = pixels(*[(0.5, 0.501)] * 20), pixels(*[(0.7, 0.0)] * 20)
    chosen = fit_odin(Ramp(), familiar, foreign)
    assert (chosen.temperature, chosen.step) == (1.0, STEPS[3])
    assert STEPS[3] == pytest.approx(0.0012)
    assert chosen(familiar)["odin"].min() > chosen(foreign)["odin"].max()


def test_passes_of_a_real_network_run_beside_each_other_over_batches():
    with torch.inference_mode(False):
        preprocess = Preprocess(input_size=(1, 28, 28), mean=(0.5,), std=(0.25,))
        classifier = Classifier(SmallResNet(classes=3, channels=1), preprocess).eval().requires_grad_(False)
    batches = np.random.default_rng(0).integers(0, 256, (2, 5, 28, 28, 1), dtype=np.uint8)
    odin, mirrored = Odin(classifier, temperature=1.0, step=0.0), flipped(classifier)

    def everything(images):
        return {"logits": classifier(images), **mirrored(images), **odin(images)}

    outputs = predict(everything, batches, torch.device("cpu"))
    assert outputs["flipped_logits"].shape == (10, 3)
    # Three classes again, at temperature 1.
    assert expit(outputs["odin"] - np.log(2)) == pytest.approx(max_softmax(outputs["logits"]))
