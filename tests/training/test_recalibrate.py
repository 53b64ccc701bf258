"""Refitting to live traffic, against worlds whose probabilities are known; the rules of promotion; what is written."""

import json

import numpy as np
import pytest

from service.inference.bundle import open_bundle
from tests.tiny import THRESHOLD, edit_manifest, give_image_statistics
from tests.training.live_feedback import HEAD, WORLD, simulate, write
from training.bundle import placing
from training.bundle.feedback import read_feedback, split_feedback
from training.bundle.recalibrate import compare_heads
from training.bundle.refit import refit_trust_head
from training.cli import app
from trust.head import Calibration, NoveltyGate, TrustHead, trust_of_inputs
from trust.manifest import BundleError, Threshold, read_manifest

GATED = HEAD.model_copy(update={"gate": NoveltyGate(midpoint=2.0, steepness=3.0, weights=(0.0, 1.0), bias=-1.0)})


CURVED = WORLD.model_copy(update={"calibration": Calibration(logits=(0.5, 1.0), trust=(0.35, 0.9))})
"""A world of two levels, as no logistic curve has them."""


def run(*arguments):
    """The exit status of the command."""
    try:
        app(["recalibrate", *map(str, arguments)], result_action="return_value")
    except SystemExit as end:
        return end.code
    return 0


def flat(text):
    return " ".join(text.split())


def gap(head, seed=9, world=WORLD):
    """Mean |trust - true probability| on fresh answers."""
    fresh, probability = simulate(20_000, world, seed)
    return np.abs(fresh.trust_of(head) - probability).mean()


@pytest.mark.parametrize(
    ("world", "labels", "allowed"),
    [(WORLD, 400, 0.05), (WORLD, 4000, 0.02), (CURVED, 4000, 0.04)],
    ids=["few", "many", "curved"],
)
def test_refitted_trust_is_the_known_probability(world, labels, allowed):
    refitted = refit_trust_head(HEAD, simulate(labels, world)[0])
    assert gap(HEAD, world=world) > 2 * allowed
    assert gap(refitted, world=world) < allowed
    # A map of its own only where the world is no logistic curve.
    assert (refitted.calibration is not None) == (world is CURVED)


def test_trust_goes_on_falling_below_what_was_seen():
    refitted = refit_trust_head(HEAD, simulate(4000, CURVED)[0])
    assert refitted.calibration is not None
    far = refitted.model_copy(update={"weights": (1.0, 0.0), "bias": 0.0})
    assert trust_of_inputs(far, [[-30.0, 0.0]])[0] < 0.01
    assert trust_of_inputs(far, [[30.0, 0.0]])[0] > 0.99


def test_weights_of_the_world_are_found():
    feedback, _ = simulate(20_000)
    refitted = refit_trust_head(HEAD, feedback)
    assert (*refitted.weights, refitted.bias) == pytest.approx((*WORLD.weights, WORLD.bias), abs=0.1)


def test_world_that_the_head_already_describes_changes_little():
    feedback, _ = simulate(4000, world=HEAD)
    assert gap(refit_trust_head(HEAD, feedback), world=HEAD) < 0.02


def test_what_traffic_does_not_show_stays_as_it_was():
    # All novelties are below 1, two below the gate's midpoint: nothing is known of the novel side.
    feedback, _ = simulate(5000, head=GATED)
    refitted = refit_trust_head(GATED, feedback)
    assert refitted.gate.weights == pytest.approx(GATED.gate.weights, abs=0.3)
    novel = np.array([[2.0, -4.0]])
    assert trust_of_inputs(GATED, novel, [6.0])[0] == pytest.approx(1 / (1 + np.exp(5.5)), abs=0.001)  # 0 - 4 - 1 - .5
    assert trust_of_inputs(refitted, novel, [6.0])[0] < 0.05


def test_selective_review_is_undone_by_the_weights():
    def doubtful_first(trust):
        return np.where(trust < 0.6, 1.0, 0.1)

    # The world depends on more than the head can say, so unweighted labels would pull it towards the doubtful answers.
    curved = TrustHead(inputs=HEAD.inputs, weights=(0.0, 0.0), bias=0.0)
    feedback, _ = simulate(30_000, sampling=doubtful_first)
    weighted = refit_trust_head(curved, feedback)
    fresh, probability = simulate(20_000, seed=9)
    assert np.average(feedback.trust_of(weighted), weights=feedback.weight) == pytest.approx(
        probability.mean(), abs=0.01
    )
    assert fresh.trust_of(weighted).mean() == pytest.approx(probability.mean(), abs=0.01)


def test_judging_half_is_as_if_labelled_by_chance():
    def doubtful_first(trust):
        return np.where(trust < 0.6, 1.0, 0.2)

    feedback, _ = simulate(20_000, sampling=doubtful_first)
    everything, _ = simulate(20_000)
    _, judged = split_feedback(feedback, seed=0)
    standard_error = 0.5 / len(judged) ** 0.5
    assert feedback.correct.mean() < everything.correct.mean() - 0.04
    assert judged.correct.mean() == pytest.approx(everything.correct.mean(), abs=4 * standard_error)


def test_halves_share_no_answer():
    feedback, _ = simulate(1000)
    fit, judged = split_feedback(feedback, seed=0)
    assert (len(fit), len(judged)) == (500, 500)  # labelled by chance alone, none of the other half is left out
    assert not set(fit.novelty) & set(judged.novelty)


BETTER, SAME = WORLD, HEAD
WORSE = HEAD.model_copy(update={"weights": (-0.5, 0.2)})
SURER = WORLD.model_copy(update={"weights": (6.0, 1.8), "bias": 2.4})
"""Ranks as the world does, and says six times the log-odds."""


@pytest.mark.parametrize(
    ("new", "promoted"),
    [(BETTER, True), (SAME, False), (WORSE, False), (SURER, False)],
    ids=["better", "same", "worse", "surer"],
)
def test_promoted_where_not_worse_and_better_calibrated(new, promoted):
    judged, _ = simulate(3000)
    verdict = compare_heads(HEAD, new, judged)
    assert verdict.promoted == promoted
    assert not verdict.forced
    assert ("was promoted" in verdict.statement) == promoted


def test_better_likelihood_alone_does_not_promote_what_ranks_worse():
    # The old head ranks as the world does and is absurdly sure; the new one says the base rate of everybody.
    judged, probability = simulate(3000)
    rate = float(np.log(probability.mean() / (1 - probability.mean())))
    verdict = compare_heads(SURER, HEAD.model_copy(update={"weights": (0.0, 0.0), "bias": rate}), judged)
    assert verdict.differences["negative log-likelihood"].high < 0
    assert not verdict.promoted


@pytest.fixture
def feedback(tmp_path):
    return write(tmp_path / "feedback.npz", simulate(2000)[0])


def test_new_version_is_served_with_the_new_numbers(tiny_bundle, feedback, tmp_path, capsys):
    before = {path.name: path.read_bytes() for path in tiny_bundle.iterdir() if path.is_file()}
    assert run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / "models" / "new") == 0
    opened = open_bundle(tmp_path / "models" / "new")
    opened.sessions.close()
    manifest, old = opened.manifest, read_manifest(tiny_bundle)
    assert (manifest.name, manifest.classes) == (old.name, old.classes)
    assert manifest.version != old.version
    assert gap(manifest.trust_head) < 0.03
    record = manifest.provenance["recalibration"]
    assert (record["promoted"], record["forced"], record["from_version"]) == (True, False, "1.0.0")
    assert record["labels"] == {"all": 2000, "fit": 1000, "judged": 1000}
    assert record["statement"] in flat(capsys.readouterr().out)
    assert record["statement"] in (tmp_path / "models" / "new" / "README.md").read_text()
    assert before == {path.name: path.read_bytes() for path in tiny_bundle.iterdir() if path.is_file()}
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["new"]


def test_new_reference_is_the_traffic_that_judged(tiny_bundle, feedback, tmp_path):
    run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / "new")
    manifest = read_manifest(tmp_path / "new")
    _, judged = split_feedback(read_feedback(feedback, read_manifest(tiny_bundle)), seed=0)
    trust = judged.trust_of(manifest.trust_head)
    assert manifest.reference.images == len(judged)
    assert manifest.reference.accuracy == pytest.approx(judged.correct.mean())
    assert manifest.reference.mean_trust == pytest.approx(trust.mean())
    with np.load(tmp_path / "new" / "reference.npz") as rows:
        np.testing.assert_allclose(rows["trust"], trust, atol=1e-6)
        np.testing.assert_array_equal(rows["target"], judged.target)


def test_image_novelty_stays_that_of_the_images_it_was_exported_with(own_bundle, feedback, tmp_path):
    give_image_statistics(own_bundle)
    run(own_bundle, "--feedback", feedback, "--to", tmp_path / "new")
    assert read_manifest(tmp_path / "new").image_statistics == read_manifest(own_bundle).image_statistics
    with np.load(tmp_path / "new" / "reference.npz") as rows, np.load(own_bundle / "reference.npz") as before:
        assert len(rows["trust"]) != len(before["trust"])
        np.testing.assert_array_equal(rows["image_novelty"], before["image_novelty"])


def test_promise_of_the_new_threshold_holds_in_the_known_world(tiny_bundle, feedback, tmp_path):
    run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / "new", "--risk", 0.1)
    manifest = read_manifest(tmp_path / "new")
    assert (manifest.threshold.risk, manifest.threshold.confidence) == (0.1, 0.95)
    assert "on images like the 1000 labelled live ones" in manifest.threshold.statement
    fresh, probability = simulate(50_000, seed=11)
    trusted = fresh.trust_of(manifest.trust_head) >= manifest.threshold.value
    assert 0.3 < trusted.mean() < 0.9
    assert (1 - probability[trusted]).mean() <= 0.1


def test_promise_of_the_old_bundle_is_asked_of_the_new_one(own_bundle, feedback, tmp_path):
    edit_manifest(own_bundle, threshold=Threshold(value=THRESHOLD, statement="", risk=0.2, confidence=0.9))
    run(own_bundle, "--feedback", feedback, "--to", tmp_path / "new")
    threshold = read_manifest(tmp_path / "new").threshold
    assert (threshold.risk, threshold.confidence) == (0.2, 0.9)


def test_thresholds_by_class_stay_by_class(own_bundle, feedback, tmp_path):
    edit_manifest(own_bundle, threshold=Threshold(value=0.5, statement="", risk=0.2, by_class=(0.5, 0.6, 0.7)))
    run(own_bundle, "--feedback", feedback, "--to", tmp_path / "new")
    assert len(read_manifest(tmp_path / "new").threshold.by_class) == 3


def test_head_that_is_no_better_is_not_written(tiny_bundle, tmp_path, capsys):
    same = write(tmp_path / "same.npz", simulate(2000, world=HEAD)[0])
    assert run(tiny_bundle, "--feedback", same, "--to", tmp_path / "new") == 1
    assert not (tmp_path / "new").exists()
    assert "was not promoted" in (said := flat(capsys.readouterr().out))
    assert "Nothing was written" in said


def test_force_writes_it_and_is_on_the_record(tiny_bundle, tmp_path):
    same = write(tmp_path / "same.npz", simulate(2000, world=HEAD)[0])
    assert run(tiny_bundle, "--feedback", same, "--to", tmp_path / "new", "--force") == 0
    record = read_manifest(tmp_path / "new").provenance["recalibration"]
    assert (record["promoted"], record["forced"]) == (False, True)
    assert "serves because it was forced" in record["statement"]


def test_earlier_new_version_is_replaced_and_anything_else_is_not(tiny_bundle, feedback, tmp_path):
    for _ in range(2):
        assert run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / "new") == 0
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"mine")
    with pytest.raises(BundleError, match="no bundle at"):
        run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / "holiday")
    assert (tmp_path / "holiday" / "photo.jpg").read_bytes() == b"mine"


def test_bundle_itself_is_not_overwritten(own_bundle, feedback):
    with pytest.raises(ValueError, match="is the bundle itself; name another folder"):
        run(own_bundle, "--feedback", feedback, "--to", own_bundle)


def test_graphs_that_answer_otherwise_leave_nothing_behind(own_bundle, feedback, tmp_path):
    golden = dict(np.load(own_bundle / "golden.npz"))
    golden["logits"] = golden["logits"] + 1
    np.savez(own_bundle / "golden.npz", **golden)
    edit_manifest(own_bundle)
    with pytest.raises(BundleError, match="answers differently from its golden batch: logits by 1"):
        run(own_bundle, "--feedback", feedback, "--to", tmp_path / "models" / "new")
    assert list((tmp_path / "models").iterdir()) == []


def test_same_feedback_makes_the_same_version(tiny_bundle, feedback, tmp_path):
    for name in ("a", "b"):
        run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / name)
    first, second = (read_manifest(tmp_path / name) for name in ("a", "b"))
    assert first.version == second.version
    assert first.trust_head == second.trust_head


@pytest.mark.parametrize(
    ("count", "words"), [(150, "150 labels are too few to refit a trust head; at least 200 are wanted")]
)
def test_few_labels_are_refused_with_their_number(tiny_bundle, tmp_path, count, words):
    few = write(tmp_path / "few.npz", simulate(count)[0])
    with pytest.raises(ValueError, match=words):
        run(tiny_bundle, "--feedback", few, "--to", tmp_path / "new")


def test_answers_that_are_all_right_are_refused_with_their_numbers(tiny_bundle, tmp_path):
    feedback, _ = simulate(300)
    right = write(tmp_path / "right.npz", feedback, target=feedback.predicted)
    with pytest.raises(
        ValueError, match="of 300 labels 150 are to fit on, 150 of them of right answers and 0 of wrong"
    ):
        run(tiny_bundle, "--feedback", right, "--to", tmp_path / "new")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": "0.9.0"}, "is feedback on tiny 0.9.0, the bundle is tiny 1.0.0"),
        ({"model": "other"}, "is feedback on other 1.0.0"),
        ({"head_inputs": np.zeros((400, 3))}, r"has inputs \(400, 3\); the bundle's head takes 2"),
        ({"head_inputs": np.full((400, 2), np.nan)}, "400 of 400 rows have inputs that are no numbers"),
        ({"target": np.full(400, 3)}, "400 of 400 rows have a class that is none of the 3"),
        ({"sampling_probability": np.zeros(400)}, r"400 of 400 rows have a sampling probability outside of \(0, 1\]"),
        ({"trust": np.zeros(400)}, "were answered with another trust than the bundle's head gives"),
        ({"target": np.zeros(3, int)}, "columns of different lengths"),
        ({"novelty": None}, r"lacks \['novelty'\]"),
    ],
)
def test_feedback_of_another_kind_is_refused(tiny_bundle, tmp_path, changes, words):
    path = write(tmp_path / "feedback.npz", simulate(400)[0], **changes)
    with pytest.raises(ValueError, match=words):
        read_feedback(path, read_manifest(tiny_bundle))


def test_head_with_a_gate_needs_novelty(own_bundle, tmp_path):
    edit_manifest(own_bundle, trust_head=GATED)
    path = write(tmp_path / "feedback.npz", simulate(400, head=GATED)[0], novelty=np.full(400, np.nan))
    with pytest.raises(ValueError, match="400 of 400 rows have no novelty, which the bundle's head reads"):
        read_feedback(path, read_manifest(own_bundle))


@pytest.mark.parametrize("content", [b"", b"no arrays", b"PK\x03\x04broken"])
def test_file_that_holds_no_arrays_is_refused(tiny_bundle, tmp_path, content):
    (tmp_path / "feedback.npz").write_bytes(content)
    with pytest.raises(ValueError, match="is not a file of arrays"):
        read_feedback(tmp_path / "feedback.npz", read_manifest(tiny_bundle))


def test_crash_while_writing_leaves_the_old_new_version(tiny_bundle, feedback, tmp_path, monkeypatch):
    run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / "new")
    before = json.loads((tmp_path / "new" / "manifest.json").read_text())

    def killed(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(placing, "put_in_place", killed)
    with pytest.raises(OSError, match="the disk is gone"):
        run(tiny_bundle, "--feedback", feedback, "--to", tmp_path / "new", "--seed", 1)
    assert json.loads((tmp_path / "new" / "manifest.json").read_text()) == before
    assert not list(tmp_path.glob(".new-*"))
