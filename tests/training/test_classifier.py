"""Networks by name, with the interface and the preprocessing that timm gives them."""

import pytest
import timm
import torch

from training.classifier.network import Classifier, build_backbone, data_config
from trust.preprocess import Preprocess

GREY = Preprocess(input_size=(1, 28, 28), mean=(0.5,), std=(0.25,))


def test_small_resnet_has_some_300_thousand_parameters():
    backbone = build_backbone("small_resnet", classes=10, channels=1)
    assert 250_000 < sum(parameter.numel() for parameter in backbone.parameters()) < 350_000


@pytest.mark.parametrize("name", ["small_resnet", "test_resnet", "test_vit", "test_efficientnet"])
def test_logits_come_from_the_features_that_are_shown(name):
    spec = data_config(name, image_size=None)
    classifier = Classifier(build_backbone(name, classes=4, channels=3), spec).eval()
    images = torch.rand(2, *spec.input_size)
    with torch.inference_mode():
        features = classifier.features(images)
        # A fresh last layer: were the features not what goes into it, these would differ.
        assert torch.allclose(classifier.logits_of(features), classifier(images))
        maps = classifier.backbone.forward_features((images - classifier.mean) / classifier.std)
        assert torch.allclose(classifier.backbone.forward_head(maps), classifier(images), atol=1e-5)
    assert features.shape == (2, classifier.backbone.num_features)


def test_normalisation_stands_in_front():
    classifier = Classifier(build_backbone("small_resnet", classes=3, channels=1), GREY).eval()
    images = torch.rand(2, 1, 28, 28)
    with torch.inference_mode():
        backbone = classifier.backbone
        expected = backbone.forward_head(backbone.forward_features((images - 0.5) / 0.25))
        assert torch.allclose(classifier(images), expected, atol=1e-6)


def test_preprocessing_of_a_timm_backbone_is_timms():
    spec = data_config("resnet50", image_size=None)
    config = timm.get_pretrained_cfg("resnet50")
    assert spec.input_size == tuple(config.input_size)
    assert (spec.mean, spec.std) == (tuple(config.mean), tuple(config.std))
    assert (spec.interpolation, spec.crop_pct) == (config.interpolation, config.crop_pct)


def test_checkpoint_gives_its_weights_but_not_a_last_layer_of_another_size(tmp_path):
    other = build_backbone("small_resnet", classes=7, channels=1)
    torch.save(other.state_dict(), tmp_path / "seven.pt")
    backbone = build_backbone("small_resnet", classes=3, channels=1, weights=tmp_path / "seven.pt")
    assert torch.equal(backbone.state_dict()["stem.0.weight"], other.state_dict()["stem.0.weight"])
    assert backbone.head.out_features == 3


def test_checkpoint_of_another_network_is_refused(tmp_path):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other.pt does not fit this backbone: \d+ tensors missing, first "):
        build_backbone("small_resnet", classes=3, channels=1, weights=tmp_path / "other.pt")


def test_unknown_backbone_names_near_ones():
    with pytest.raises(ValueError, match="backbone 'resnet_51' is neither small_resnet nor a timm model; near: "):
        build_backbone("resnet_51", classes=3, channels=3)
