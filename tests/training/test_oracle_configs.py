"""Every shipped configuration is read as the command line reads it, and its networks can be built."""

from pathlib import Path

import pytest
import torch
from cyclopts.config import Toml

from training.classifier.network import Classifier, build_backbone, data_config
from training.cli import app
from training.oracle.network import empty_oracle

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))
COMBINATIONS = [f"paper-{oracle}-{classifier}" for oracle in ("vit", "resnet") for classifier in ("vit", "resnet")]
# timm's parameter counts of vit_base_patch16_384 and resnet50 without their last layer of 1000 classes.
MILLIONS = {"vit": 86.09, "resnet": 23.51}


def read(path, *tokens):
    """The TrainingConfig of `trustserve-train oracle --config PATH TOKENS`."""
    app.config = (Toml(path, must_exist=True, use_commands_as_keys=False),)
    try:
        _, bound, _ = app.parse_args(["oracle", *tokens], exit_on_error=False, print_error=False)
    finally:
        app.config = ()
    return bound.arguments["config"]


def size(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_four_combinations_of_the_paper_are_shipped_with_both_pairs_of_slopes():
    names = {f"{name}{slopes}" for name in COMBINATIONS for slopes in ("", "-slopes-2-5")}
    assert {path.stem for path in CONFIGS} == names


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_plan_is_the_published_one(path):
    config = read(path)
    recipe = config.oracle_recipe("paper")
    assert config.name == path.stem
    assert (recipe.slope_correct, recipe.slope_incorrect) == ((2, 5) if "slopes-2-5" in path.stem else (1, 3))
    assert (recipe.loss, recipe.head, recipe.labels) == ("steep_slope", "signed_distance", "training")
    plan = recipe.plan(config.batch_size)
    assert (plan.batch_size, plan.epochs, plan.learning_rate, plan.weight_decay) == (40, 1, 1e-5, 0)
    assert (plan.optimizer, plan.nesterov, plan.momentum, plan.schedule) == ("sgd", False, 0.05, "one_cycle")
    # 100 steps of warm-up among those of an epoch of ImageNet.
    assert plan.warmup * 1_281_167 / plan.batch_size == pytest.approx(100, abs=1)


@pytest.mark.parametrize("name", COMBINATIONS)
def test_networks_can_be_built(name):
    config = read(next(path for path in CONFIGS if path.stem == name))
    _, oracle_kind, classifier_kind = name.split("-")
    spec = data_config(config.backbone, config.image_size)
    with torch.device("meta"):
        backbone = build_backbone(config.backbone, classes=1000, channels=3, image_size=spec.input_size[1])
        classifier = Classifier(backbone, spec)
        oracle = empty_oracle(classifier, config.oracle_recipe("paper"))
        outputs = oracle.eval()(torch.rand(2, *spec.input_size))
    assert outputs["oracle_logit"].shape == (2,)
    for kind, network in ((classifier_kind, classifier), (oracle_kind, oracle.network)):
        parameters = sum(p.numel() for p in network.parameters()) - sum(
            p.numel() for p in network.last_layer.parameters()
        )
        assert parameters / 1e6 == pytest.approx(MILLIONS[kind], abs=0.01)


def test_command_line_goes_before_the_file():
    config = read(CONFIGS[0], "--batch-size", "7")
    assert (config.batch_size, config.oracle_learning_rate) == (7, 1e-5)


def test_misspelt_option_in_a_file_is_refused(tmp_path):
    (tmp_path / "typo.toml").write_text("batch_sizee = 40\n")
    with pytest.raises(Exception, match="batch_sizee"):
        read(tmp_path / "typo.toml")


def test_option_that_names_the_file_is_taken_by_the_program(tmp_path, capsys):
    (tmp_path / "typo.toml").write_text("batch_sizee = 40\n")
    with pytest.raises(SystemExit):
        app.meta(["oracle", "--config", str(tmp_path / "typo.toml")])
    assert "batch_sizee" in capsys.readouterr().err
    app.config = ()
