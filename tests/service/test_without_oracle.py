"""A bundle whose oracle was not promoted: one network, the same answers' form; and thresholds by class."""

import numpy as np
import pytest
from pydantic import ValidationError

from service.cli import main
from service.inference.bundle import open_bundle
from tests.tiny import CLASSES, edit_manifest, expected_answer, png, quadrants, take_oracle_out
from trust.manifest import Manifest, Threshold, read_manifest

IMAGE = quadrants(200, 50, 20, 10)


@pytest.fixture
def without_oracle(own_bundle):
    take_oracle_out(own_bundle)
    return own_bundle


def test_trust_is_the_score_of_the_classifiers_logits(without_oracle, serve):
    answer = serve(model=without_oracle).post("/predict", files={"image": png(IMAGE)}).json()
    largest = np.sort(expected_answer(IMAGE).probabilities)
    margin = largest[-1] - largest[-2]
    assert answer["label"] == "up-left"
    assert answer["trust_probability"] == pytest.approx(1 / (1 + np.exp(-margin)), abs=1e-5)


def test_model_page_says_that_the_oracle_was_not_promoted(without_oracle, serve):
    report = serve(model=without_oracle).get("/model").json()
    assert report["providers"].keys() == {"classifier"}
    assert report["manifest"]["gate"]["promoted"] is False
    assert report["manifest"]["gate"]["statement"] == "The oracle was not promoted: margin serves."


def test_inspection_says_it_too(without_oracle, capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["inspect", str(without_oracle)])
    shown = capsys.readouterr().out
    assert "no network of its own" in shown
    assert "The oracle was not promoted" in shown


def test_oracle_heads_may_come_out_of_the_classifiers_graph(own_bundle):
    manifest = read_manifest(own_bundle)
    Manifest.model_validate(
        manifest.model_dump()
        | {"classifier_outputs": ("logits", "probabilities", "oracle_logit"), "oracle_outputs": ()}
        | {"files": {name: digest.model_dump() for name, digest in manifest.files.items() if name != "oracle.onnx"}}
    )


def test_each_class_has_its_own_threshold_where_the_bundle_says_so(own_bundle, serve):
    trust = expected_answer(IMAGE).trust
    for own, decision in ((trust - 0.01, "trust"), (trust + 0.01, "untrust")):
        edit_manifest(own_bundle, threshold=Threshold(value=0.5, statement="by class", by_class=(own, 0.1, 0.1)))
        answer = serve(model=own_bundle).post("/predict", files={"image": png(IMAGE)}).json()
        assert (answer["decision"], answer["threshold"]) == (decision, pytest.approx(own))


def test_operators_threshold_goes_before_those_of_the_classes(own_bundle, serve):
    edit_manifest(own_bundle, threshold=Threshold(value=0.5, statement="by class", by_class=(1.0, 1.0, 1.0)))
    answer = serve(model=own_bundle, threshold=0.01).post("/predict", files={"image": png(IMAGE)}).json()
    assert (answer["decision"], answer["threshold"]) == ("trust", 0.01)


def test_thresholds_by_class_are_one_for_each(own_bundle):
    manifest = read_manifest(own_bundle).model_dump()
    manifest["threshold"]["by_class"] = (0.5,) * (len(CLASSES) + 1)
    with pytest.raises(ValidationError, match="4 thresholds by class for 3 classes"):
        Manifest.model_validate(manifest)


def test_golden_replay_needs_no_oracle(without_oracle):
    assert open_bundle(without_oracle).sessions.providers.keys() == {"classifier"}
