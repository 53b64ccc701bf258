"""From images to answers: train, export, serve in a process of its own; the numbers are torch's."""

import json
import re
import subprocess
import sys

import httpx
import pytest

from tests.training.conftest import train
from training.run import Run
from training.steps import load_pair, open_dataset
from trust.head import trust_probability


@pytest.fixture(scope="module")
def trained_vit(tmp_path_factory, image_folder):
    """A tiny vision transformer of timm's, at an input size that is not its own."""
    options = ("--backbone", "test_vit", "--classifier-learning-rate", "0.02", "--no-compare-paper")
    return train(tmp_path_factory.mktemp("vit"), image_folder, "vit", *options, side=32, backbone="test_vit")


@pytest.fixture(scope="module")
def trained_as_published(tmp_path_factory, image_folder):
    """The published recipe as the exported one: no class head, so the trust head has fewer inputs."""
    return train(tmp_path_factory.mktemp("paper"), image_folder, "paper", "--recipe", "paper", recipe="paper")


def ask(bundle, files):
    """Answers of `trustserve serve` to these files, over HTTP."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--model", str(bundle)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = iter(process.stdout.readline, "")
        url = next(found[0] for line in lines if (found := re.findall(r"http://[\d.]+:\d+(?=/predict)", line)))
        with httpx.Client(base_url=url) as client:
            return [
                client.post("/predict?probabilities=true", files={"image": file.read_bytes()}).json() for file in files
            ]
    finally:
        process.terminate()
        process.wait(timeout=30)


@pytest.mark.parametrize("run_name", ["trained", "trained_vit", "trained_as_published"])
def test_served_answers_are_torchs(run_name, request, image_folder):
    trained = request.getfixturevalue(run_name)
    run = Run(trained.config)
    dataset = open_dataset(trained.config, run)
    pair, calibrated = load_pair(trained.config, run, dataset)
    # The data set's rows are in the order of the sorted folder.
    files = sorted(path for path in image_folder.rglob("*.png"))
    chosen = [int(row) for row in dataset.test.rows[:12]]
    oracle = f"{trained.config.recipe}-0"
    outputs = pair.outputs([dataset.test.store[chosen]])[oracle]
    trust = trust_probability(calibrated.heads[oracle], outputs)
    answers = ask(trained.bundle, [files[row] for row in chosen])
    for i, answer in enumerate(answers):
        assert answer["class_index"] == outputs["logits"][i].argmax()
        assert answer["label"] == dataset.classes[answer["class_index"]]
        assert answer["confidence"] == pytest.approx(outputs["probabilities"][i].max(), abs=1e-4)
        assert list(answer["probabilities"].values()) == pytest.approx(outputs["probabilities"][i].tolist(), abs=1e-4)
        assert answer["trust_probability"] == pytest.approx(trust[i], abs=2e-3)
        assert answer["decision"] == ("trust" if answer["trust_probability"] >= answer["threshold"] else "untrust")


def test_manifest_records_the_vision_transformer_and_its_input(trained_vit):
    manifest = json.loads((trained_vit.bundle / "manifest.json").read_text())
    assert manifest["provenance"]["config"]["backbone"] == "test_vit"
    assert manifest["preprocess"]["input_size"] == [3, 32, 32]
