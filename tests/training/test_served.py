"""A bundle measured by its own graphs: the run's figures come back, on its own data or on other data."""

import html
import json
import shutil

import pytest

from training.bundle.served import evaluate_bundle
from training.cli import app
from trust.manifest import BundleError


@pytest.fixture(scope="module")
def measured(trained, tmp_path_factory):
    return evaluate_bundle(trained.bundle, None, tmp_path_factory.mktemp("cache"))


def test_figures_of_the_run_come_back_from_its_bundle(trained, measured):
    found, wanted = measured[0]["conditions"], json.loads((trained.bundle / "results.json").read_text())["conditions"]
    for kind in ("clean", "fog"):
        assert found[kind]["accuracy"] == pytest.approx(wanted[kind]["accuracy"], abs=1e-9)
        for method in ("softmax confidence", "trust probability", "ViM"):
            measures = found[kind]["methods"][method], wanted[kind]["methods"][method]
            # One answer of 68 may change places where two scores differ in the last bit.
            assert measures[0]["auroc"]["mean"] == pytest.approx(measures[1]["auroc"]["mean"], abs=0.02), (kind, method)


def test_report_of_the_bundle_is_about_what_it_serves(trained, measured):
    content = measured[1]
    manifest = json.loads((trained.bundle / "manifest.json").read_text())
    assert content.threshold.value == manifest["threshold"]["value"]
    assert content.gate == manifest["gate"]["statement"]
    assert content.images(0).shape == (28, 28, 3)


def test_bundle_comes_with_its_report(trained):
    page = html.unescape((trained.bundle / "report" / "index.html").read_text()).replace("\N{NO-BREAK SPACE}", " ")
    manifest = json.loads((trained.bundle / "manifest.json").read_text())
    results = json.loads((trained.bundle / "results.json").read_text())
    assert f"{100 * results['conditions']['clean']['accuracy']:.1f}" in page
    assert manifest["threshold"]["statement"] in page
    assert manifest["gate"]["statement"] in page
    assert (trained.bundle / "report" / "report.json").is_file()


def test_bundle_can_be_measured_on_other_images_that_bear_its_classes(trained, image_folder, tmp_path, capsys):
    options = [
        "--on",
        f"imagefolder:{image_folder}",
        "--output",
        str(tmp_path / "page"),
        "--run",
        str(tmp_path / "run"),
    ]
    app(["evaluate", str(trained.bundle), *options], result_action="return_value")
    assert (tmp_path / "page" / "index.html").is_file()
    assert "trust probability" in capsys.readouterr().out


def test_images_of_a_class_the_bundle_does_not_know_are_refused(trained, image_folder, tmp_path):
    shutil.copytree(image_folder, tmp_path / "more")
    (tmp_path / "more" / "bag").rename(tmp_path / "more" / "hat")
    with pytest.raises(ValueError, match=r"classes that the bundle does not know: hat; wanted folders named after"):
        evaluate_bundle(trained.bundle, f"imagefolder:{tmp_path / 'more'}", tmp_path / "cache")


def test_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(BundleError, match="no bundle at"):
        evaluate_bundle(tmp_path, None, tmp_path)
