"""Options that cannot work are refused before anything is read or trained."""

from pathlib import Path

import pytest

from training.config import TrainingConfig


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "--batch-size is 0; wanted at least 1"),
        ({"classifier_epochs": 0}, "--classifier-epochs is 0"),
        ({"oracle_epochs": 0}, "--oracle-epochs is 0"),
        ({"oracle_seeds": 0}, "--oracle-seeds is 0"),
        ({"classifier_learning_rate": 0.0}, "--classifier-learning-rate is 0.0; wanted a number above 0"),
        ({"classifier_learning_rate": float("nan")}, "--classifier-learning-rate is nan"),
        ({"clean_weight": -1.0}, "--clean-weight is -1.0"),
        ({"risk": 1.0}, "--risk is 1.0; wanted a share between 0 and 1"),
        ({"confidence": 95.0}, "--confidence is 95.0; wanted a share between 0 and 1"),
        ({"image_size": 0}, "--image-size is 0; wanted at least 8 pixels"),
        ({"weights": Path("nowhere.pt")}, "--weights is nowhere.pt; wanted a file that exists"),
        ({"name": "../escaped"}, r"--name is \.\./escaped; wanted letters"),
    ],
)
def test_option_that_cannot_work_is_named_with_its_value(options, words):
    with pytest.raises(ValueError, match=words):
        TrainingConfig(**options)


def test_defaults_are_accepted():
    assert TrainingConfig().risk == 0.02
