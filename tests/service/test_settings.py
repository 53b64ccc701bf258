"""Settings: where they come from, and what is said when one is wrong."""

from pathlib import Path

import pytest

from service.settings import Settings, SettingsError, load_settings


def test_defaults_without_environment():
    settings = load_settings()
    assert (settings.model, settings.host, settings.port) == (Path("models/fashion-mnist"), "127.0.0.1", 8000)
    assert (settings.max_image_bytes, settings.max_image_pixels) == (10_000_000, 50_000_000)
    assert settings.threshold is None


def test_environment_replaces_defaults_and_flags_replace_the_environment(monkeypatch):
    monkeypatch.setenv("TRUSTSERVE_PORT", "9000")
    monkeypatch.setenv("TRUSTSERVE_MAX_BATCH", "7")
    settings = load_settings(port=9001)
    assert (settings.port, settings.max_batch) == (9001, 7)


def test_empty_variable_is_as_good_as_none(monkeypatch):
    monkeypatch.setenv("TRUSTSERVE_THRESHOLD", "")
    assert load_settings().threshold is None


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("TRUSTSERVE_PORT", "abc", "integer"),
        ("TRUSTSERVE_PORT", "70000", "less than or equal to 65535"),
        ("TRUSTSERVE_DEVICE", "tpu", "'auto', 'cpu', 'cuda' or 'tensorrt'"),
        ("TRUSTSERVE_THRESHOLD", "1.5", "less than or equal to 1"),
        ("TRUSTSERVE_REWARD", "0", "greater than 0"),
    ],
)
def test_wrong_value_is_named_with_what_was_wanted(monkeypatch, variable, value, words):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as error:
        load_settings()
    for word in (variable, repr(value), words):
        assert word in str(error.value)


def test_wrong_flag_is_named_as_a_flag():
    with pytest.raises(SettingsError, match=r"--max-batch is 0; input should be greater than or equal to 1"):
        load_settings(max_batch=0)


def test_unknown_variable_is_refused_and_the_likely_one_named(monkeypatch):
    monkeypatch.setenv("TRUSTSERVE_MODLE", "x")
    with pytest.raises(
        SettingsError, match=r"TRUSTSERVE_MODLE is not a setting of trustserve; did you mean TRUSTSERVE_MODEL\?"
    ):
        load_settings()


def test_every_setting_says_what_it_is():
    assert all(field.description for field in Settings.model_fields.values())
