"""A classifier somebody trained, wrapped in one command and served over HTTP: the same answers, with trust."""

import gzip
import re
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import nn

from tests.training.conftest import FASHION
from tests.training.test_whole_path import ask
from training.bundle.reduced_jpeg import ReductionRefused
from training.cli import app
from training.wrap.candidates import SECOND_NETWORK, calibrate_scores, fit_second_network
from training.wrap.opening import open_classifier
from training.wrap.options import WrapOptions
from training.wrap.preprocessing import PreprocessOptions
from training.wrap.wrapping import bundle_name
from trust.head import trust_probability
from trust.manifest import CLASSIFIER, ORACLE, REFERENCE, read_manifest, verify_files
from trust.preprocess import ReducedJpeg, preprocess

NAMES = {0: "t-shirt", 2: "pullover", 4: "coat", 6: "shirt"}
LABELLED = 600


class Convolutions(nn.Module):
    """A user's own network: 28 x 28 grey pixels in [0, 1] to probabilities."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(576, 32)
        )
        self.last = nn.Linear(32, len(NAMES))

    def logits(self, images):
        return self.last(nn.functional.relu(self.body(images)))

    def forward(self, images):
        return self.logits(images).softmax(1)


def garments():
    """Shirts and what is mistaken for them: pixels (N, 28, 28), and classes 0 to 3."""
    pixels = np.frombuffer(gzip.decompress((FASHION / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
    targets = np.frombuffer(gzip.decompress((FASHION / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    chosen = np.isin(targets, list(NAMES))
    return pixels.reshape(-1, 28, 28)[chosen], np.searchsorted(list(NAMES), targets[chosen])


@pytest.fixture(scope="module")
def network():
    """Trained on garments that the labelled set does not hold, some 75 % accurate."""
    pixels, targets = (rows[LABELLED:] for rows in garments())
    images, targets = torch.from_numpy(pixels.copy())[:, None] / 255, torch.from_numpy(targets)
    torch.manual_seed(0)
    net = Convolutions()
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    for _ in range(2):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net.logits(images[batch]), targets[batch]).backward()
            optimizer.step()
    return net.eval()


@pytest.fixture(scope="module")
def owners(network, tmp_path_factory):
    """What its owner has: an ONNX file, a folder of labelled images, and the names in the order of the scores."""
    folder = tmp_path_factory.mktemp("owner")
    names = {"input_names": ["pixels"], "output_names": ["scores"]}
    torch.onnx.export(
        network,
        (torch.rand(2, 1, 28, 28),),
        folder / "shirts.onnx",
        dynamo=False,
        dynamic_axes={"pixels": {0: "N"}},
        **names,
    )
    for number, (pixels, target) in enumerate(zip(*(rows[:LABELLED] for rows in garments()), strict=True)):
        place = folder / "val" / list(NAMES.values())[target]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{number}.png")
    (folder / "names.txt").write_text("\n".join(NAMES.values()))
    return folder


def wrap(folder, *more):
    """Runs the command as the owner would and returns what it printed and the bundle."""
    options = [str(folder / "shirts.onnx"), "--data", f"imagefolder:{folder / 'val'}", "--classes"]
    options += [str(folder / "names.txt"), "--models", str(folder / "models"), "--cache", str(folder / "cache")]
    app(["wrap", *options, *more], result_action="return_value")
    return folder / "models" / (more[more.index("--name") + 1] if "--name" in more else "shirts")


@pytest.fixture(scope="module")
def with_heads(owners):
    # So few images show nothing with 95 % confidence.
    return wrap(owners, "--preprocess", "unit", "--force")


@pytest.fixture(scope="module")
def with_a_score(owners):
    return wrap(owners, "--preprocess", "unit", "--features", "none", "--name", "by-score")


@pytest.mark.parametrize("bundle_name", ["with_heads", "with_a_score"])
def test_served_answers_are_the_networks_own(bundle_name, request, network, owners):
    bundle = request.getfixturevalue(bundle_name)
    files = sorted((owners / "val").rglob("*.png"))[::60]
    pixels = np.stack([np.asarray(Image.open(file)) for file in files])
    with torch.inference_mode():
        logits = network.logits(torch.from_numpy(pixels)[:, None] / 255).numpy()
    manifest = read_manifest(bundle)
    session = onnxruntime.InferenceSession(str(bundle / CLASSIFIER), providers=["CPUExecutionProvider"])
    found = session.run(list(manifest.classifier_outputs), {"image": pixels[..., None]})
    trust = trust_probability(manifest.trust_head, dict(zip(manifest.classifier_outputs, found, strict=True)))
    scaled = torch.from_numpy(logits / manifest.temperature).softmax(1).numpy()
    for i, answer in enumerate(ask(bundle, files)):
        assert answer["label"] == list(NAMES.values())[logits[i].argmax()]
        assert list(answer["probabilities"].values()) == pytest.approx(scaled[i].tolist(), abs=1e-4)
        assert answer["trust_probability"] == pytest.approx(trust[i], abs=2e-3)
        assert answer["decision"] == ("trust" if answer["trust_probability"] >= answer["threshold"] else "untrust")


def test_bundle_with_heads_is_one_graph_and_says_that_they_were_forced_or_promoted(with_heads):
    manifest = read_manifest(with_heads)
    verify_files(with_heads, manifest)
    assert {"novelty", "oracle_logit", "oracle_class_logits"} < set(manifest.classifier_outputs)
    assert not (with_heads / ORACLE).exists()
    assert manifest.gate.serves == "oracle"
    assert manifest.gate.promoted != manifest.gate.forced


def test_bundle_without_features_serves_a_score_of_the_logits(with_a_score):
    manifest = read_manifest(with_a_score)
    assert manifest.classifier_outputs == ("logits", "probabilities")
    assert manifest.gate.serves == manifest.trust_head.inputs[0]
    assert manifest.gate.statement.startswith("There is no oracle")


def test_best_of_heads_and_second_network_is_served(owners, with_heads):
    options = ("--preprocess", "unit", "--force", "--oracle", "small_resnet", "--oracle-epochs", "1", "--name", "two")
    alone, best = read_manifest(with_heads), read_manifest(wrap(owners, *options))
    assert (best.gate.promoted, best.gate.shifted.value) >= (alone.gate.promoted, alone.gate.shifted.value)
    assert ("oracle_logit" in best.classifier_outputs) != ("oracle_logit" in best.oracle_outputs)


def test_second_network_is_written_beside_the_classifier(owners, network, tmp_path):
    options = WrapOptions(data=f"imagefolder:{owners / 'val'}", classes=owners / "names.txt", cache=owners / "cache")
    opened = open_classifier(str(owners / "shirts.onnx"), options, PreprocessOptions(preprocess="unit"), print)
    calibrated = calibrate_scores(opened.classifier, opened.dataset.calibration)
    recipe = replace(SECOND_NETWORK, architecture="small_resnet", epochs=1, heldout_repeats=1)
    candidate = fit_second_network(calibrated, opened.dataset, recipe, None, clean_weight=10.0, seed=0)
    written = candidate.networks.write(tmp_path)
    assert written.outputs[ORACLE] == ("oracle_logit", "oracle_class_logits")
    assert written.outputs[CLASSIFIER] == ("logits", "probabilities", "features", "novelty")
    pixels = opened.dataset.test.pixels(slice(5))
    with torch.inference_mode():
        logits = network.logits(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).numpy()
    said = candidate.networks.outputs([pixels[:2], pixels[2:]])
    np.testing.assert_allclose(said["logits"], logits, atol=1e-4)
    session = onnxruntime.InferenceSession(str(tmp_path / ORACLE), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(said["oracle_logit"], session.run(["oracle_logit"], {"image": pixels})[0], atol=1e-4)


def test_reference_profile_is_of_a_fifth_of_the_labelled_images(with_heads):
    assert len(np.load(with_heads / REFERENCE)["trust"]) == LABELLED // 5


def test_owners_graph_is_left_as_it_was(owners, with_heads):
    own, wrapped = onnx.load(owners / "shirts.onnx"), onnx.load(with_heads / CLASSIFIER)
    weights = {each.name: each.raw_data for each in wrapped.graph.initializer}
    for tensor in own.graph.initializer:
        assert weights[f"model/{tensor.name}"] == tensor.raw_data


def test_everything_found_and_assumed_is_said(owners, capsys):
    wrap(owners, "--features", "none", "--name", "told")
    said = capsys.readouterr().out
    for sentence in (
        r"assumed, because nothing says otherwise: --preprocess unit",
        r"output scores gives probabilities",
        r"logits are tensor .* before the softmax",
        r"There is no oracle, as no features were taken",
        r"Serve it: make serve MODEL=.*told",
    ):
        assert re.search(sentence, said), sentence


def test_reduced_jpeg_files_that_nothing_is_known_of_are_refused_and_the_bundle_is_there(owners, capsys):
    with pytest.raises(ReductionRefused, match=r"None of 270 images is a JPEG file .* decoded in full as before"):
        wrap(owners, "--preprocess", "unit", "--features", "none", "--name", "png", "--reduced-jpeg", "2")
    manifest = read_manifest(owners / "models" / "png")
    verify_files(owners / "models" / "png", manifest)
    assert manifest.preprocess.reduced_jpeg is None
    assert "Serve it: make serve MODEL=" in capsys.readouterr().out


def test_large_jpeg_files_are_reduced_where_their_owner_wants_it_and_the_answers_stay(owners, tmp_path, capsys):
    for file in (owners / "val").rglob("*.png"):
        place = tmp_path / "val" / file.parent.name / f"{file.stem}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        # Four pixels for each that the classifier sees: of the half two are left.
        Image.open(file).resize((112, 112), Image.Resampling.BICUBIC).save(place, quality=90)
    for file in ("shirts.onnx", "names.txt"):
        (tmp_path / file).write_bytes((owners / file).read_bytes())
    bundle = wrap(tmp_path, "--preprocess", "unit", "--features", "none", "--reduced-jpeg", "2")
    manifest = read_manifest(bundle)
    verify_files(bundle, manifest)
    assert manifest.preprocess.reduced_jpeg == ReducedJpeg(margin=2.0)
    record = manifest.provenance["reduced_jpeg"]
    # A quarter and a fifth of 600.
    assert record["images"] == 270
    assert (record["mean"] <= 0.01, record["labels"] <= 0.005 * 270) == (True, True)
    assert record["statement"] in " ".join(capsys.readouterr().out.split())
    files = sorted((tmp_path / "val").rglob("*.jpg"))[::60]
    pixels = np.stack([preprocess(file.read_bytes(), manifest.preprocess, max_pixels=10**6) for file in files])
    session = onnxruntime.InferenceSession(str(bundle / CLASSIFIER), providers=["CPUExecutionProvider"])
    found = session.run(["probabilities"], {"image": pixels})[0]
    for row, answer in zip(found, ask(bundle, files), strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(row.tolist(), abs=1e-4)


def test_folders_in_another_order_than_the_scores_are_found_out(owners):
    options = [str(owners / "shirts.onnx"), "--data", f"imagefolder:{owners / 'val'}", "--preprocess", "unit"]
    with pytest.raises(ValueError, match=r"with --classes .* t-shirt, pullover, coat, shirt"):
        app(["wrap", *options, "--cache", str(owners / "cache")], result_action="return_value")


def test_name_is_one_a_bundle_may_have():
    assert bundle_name("/a/b/Ünser Netz.onnx") == "nser-Netz"
    assert bundle_name("---.onnx") == "wrapped"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"risk": 2.0}, "--risk is 2; wanted a share"),
        ({"name": "a/b"}, "--name 'a/b' cannot name"),
        ({"reduced_jpeg": 1.5}, "--reduced-jpeg is 1.5; wanted 2 pixels or more"),
    ],
    ids=["risk", "name", "reduced-jpeg"],
)
def test_options_that_cannot_work_are_refused_at_once(option, message):
    with pytest.raises(ValueError, match=message):
        WrapOptions(data="imagefolder:val", **option)
