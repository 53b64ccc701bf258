"""The manifest: what validates, and what the sentence says where it does not."""

import json

import pytest

from trust.manifest import BundleError, Manifest, digest_file, read_file, read_manifest, verify_files
from trust.preprocess import ReducedJpeg


def change(bundle, **changes):
    manifest = json.loads((bundle / "manifest.json").read_text()) | changes
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_manifest_survives_writing_and_reading(tiny_bundle):
    manifest = read_manifest(tiny_bundle)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
    verify_files(tiny_bundle, manifest)


def test_manifest_that_says_nothing_of_reduced_jpeg_files_has_them_decoded_in_full(own_bundle):
    spec = json.loads((own_bundle / "manifest.json").read_text())["preprocess"]
    del spec["reduced_jpeg"]
    change(own_bundle, preprocess=spec)
    assert read_manifest(own_bundle).preprocess.reduced_jpeg is None


def test_reduced_jpeg_files_survive_writing_and_reading(own_bundle):
    spec = json.loads((own_bundle / "manifest.json").read_text())["preprocess"]
    allowed = {"margin": 2.5, "trust_tolerance": 0.01, "label_tolerance": 0.0}
    change(own_bundle, preprocess=spec | {"reduced_jpeg": allowed})
    manifest = read_manifest(own_bundle)
    assert manifest.preprocess.reduced_jpeg == ReducedJpeg(**allowed)
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize("name", ["x" * 5000, "\0", "a\ud800"])
def test_folder_that_no_system_has(tmp_path, name):
    with pytest.raises(BundleError, match=r"cannot be read: File name too long|manifest\.json not found"):
        read_manifest(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": 1}'])
def test_manifest_that_is_none(own_bundle, text):
    (own_bundle / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=r"manifest.json is not a valid manifest: .*; export the bundle again"):
        read_manifest(own_bundle)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "format"),
        ({"name": "../up"}, "name"),
        ({"classes": ["only"]}, "classes"),
        ({"surprise": 1}, "surprise"),
        ({"golden_tolerance": 0}, "golden_tolerance"),
        (
            {"preprocess": {"input_size": [1, 4, 4], "mean": [0], "std": [1], "reduced_jpeg": {"margin": 1.5}}},
            "preprocess.reduced_jpeg.margin: Input should be greater than or equal to 2",
        ),
        ({"files": {}}, r"files \['classifier.onnx', 'golden.npz', 'oracle.onnx', 'reference.npz'\] are not listed"),
        ({"oracle_outputs": []}, r"outputs \['oracle_logit'\] are needed but neither graph gives them"),
        ({"image_statistics": {"centre": [0] * 11, "whitening": [[0] * 11] * 11}}, "statistics of 1 channels are 9"),
        ({"classifier_outputs": ["logits"]}, r"outputs \['probabilities'\] are needed"),
    ],
)
def test_entry_that_does_not_validate_is_named(own_bundle, changes, words):
    change(own_bundle, **changes)
    with pytest.raises(BundleError, match=words):
        read_manifest(own_bundle)


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", "..\\up", "C:up", "", ".", "nul\0"])
def test_name_that_leaves_the_bundle_is_refused(own_bundle, name):
    files = json.loads((own_bundle / "manifest.json").read_text())["files"]
    change(own_bundle, files=files | {name: files["README.md"]})
    with pytest.raises(BundleError, match="do not lie in the bundle"):
        read_manifest(own_bundle)


def test_link_that_leaves_the_bundle_is_refused(own_bundle, tmp_path):
    (own_bundle / "README.md").rename(tmp_path / "elsewhere")
    (own_bundle / "README.md").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"README.md is a link to .*elsewhere, outside the bundle"):
        verify_files(own_bundle, read_manifest(own_bundle))


def test_link_within_the_bundle_is_followed(own_bundle):
    # As Kubernetes mounts volumes.
    (own_bundle / "README.md").rename(own_bundle / "..data")
    (own_bundle / "README.md").symlink_to("..data")
    verify_files(own_bundle, read_manifest(own_bundle))


def test_file_is_verified_as_it_is_read(own_bundle):
    manifest = read_manifest(own_bundle)
    assert read_file(own_bundle, manifest, "README.md") == b"# tiny\n"
    (own_bundle / "README.md").write_text("# TINY\n")
    with pytest.raises(BundleError, match=r"README.md is not the file that was exported"):
        read_file(own_bundle, manifest, "README.md")


def test_missing_file_is_named(own_bundle):
    (own_bundle / "golden.npz").unlink()
    with pytest.raises(BundleError, match=r"golden.npz is missing; the bundle is incomplete"):
        verify_files(own_bundle, read_manifest(own_bundle))


def test_changed_file_is_named_with_both_digests(own_bundle):
    wanted = digest_file(own_bundle / "README.md")
    (own_bundle / "README.md").write_text("# TINY\n")
    with pytest.raises(BundleError, match=rf"README.md is not .* \(7 bytes\), wanted {wanted.sha256[:12]} \(7 bytes\)"):
        verify_files(own_bundle, read_manifest(own_bundle))


def test_digest_is_sha_256(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    digest = digest_file(tmp_path / "abc")
    # FIPS 180-2, appendix B.1.
    assert digest.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert digest.bytes == 3
