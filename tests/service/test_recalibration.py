"""From live traffic to a new version: a service answers, labels come, `trustserve recalibrate`, the new one serves."""

from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient

from service import cli, recalibration
from service.app import create_app
from service.journal.journal import open_journal
from service.settings import load_settings
from tests.service.conftest import wait_until_opened
from tests.tiny import png, quadrants
from trust.manifest import read_manifest

ROOT = Path(__file__).parents[2]
LABELS = 600


def known_probability(down_right: int) -> float:
    """How probable it is, in this world, that an answer is right: a logistic function of the oracle's logit 4 m - 1."""
    return float(1 / (1 + np.exp(-(1.5 * (4 * down_right / 255 - 1) - 2))))


@pytest.fixture
def recalibrate(monkeypatch, capfd, tmp_path):
    """Runs `trustserve recalibrate`; gives back exit status and what was said, by its process too."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(*arguments: object, to: Path = tmp_path / "new") -> tuple[int, str]:
        status: object = 0
        try:
            cli.main(["recalibrate", *map(str, arguments), "--to", str(to)])
        except SystemExit as end:
            status = end.code
        captured = capfd.readouterr()
        if isinstance(status, str):  # a sentence: the interpreter prints it and exits with 1
            return 1, f"{captured.out} {status}"
        return int(str(status or 0)), " ".join((captured.out + captured.err).split())

    return run


@pytest.fixture(scope="module")
def journal(tiny_bundle, tmp_path_factory) -> Path:
    """The journal of a service that gave answers and was told, by the known world, which were right."""
    state, draw, labels = tmp_path_factory.mktemp("state"), np.random.default_rng(0), []
    with TestClient(create_app(load_settings(model=tiny_bundle, state=state))) as client:
        wait_until_opened(client)
        for number in range(LABELS):
            *top, down_right = draw.integers(0, 256, 4)
            answer = ask(client, quadrants(*top, down_right), f"request-{number}")
            right = draw.random() < known_probability(down_right)
            index = answer["class_index"] if right else (answer["class_index"] + 1) % 3
            labels.append({"request_id": answer["request_id"], "class_index": index})
        outcomes = client.post("/feedback", json=labels).json()
    assert {outcome["outcome"] for outcome in outcomes} == {"accepted"}
    return state / "journal.sqlite"


def ask(client: TestClient, image: np.ndarray, request_id: str) -> dict:
    response = client.post("/predict", files={"image": png(image)}, headers={"X-Request-ID": request_id})
    return response.json()


def test_labels_become_a_new_version_that_is_served(tiny_bundle, journal, recalibrate, serve, tmp_path):
    status, said = recalibrate(tiny_bundle, "--journal", f"sqlite:///{journal}", "--risk", "0.5")
    assert status == 0, said
    assert f"{LABELS} labelled answers of tiny 1.0.0 in {tmp_path / 'new-feedback.npz'}" in said
    assert "The trust head refitted to live traffic was promoted." in said
    client = serve(model=tmp_path / "new", state=tmp_path / "other")
    draw = np.random.default_rng(1)
    images = [draw.integers(0, 256, 4) for _ in range(40)]
    answers = [ask(client, quadrants(*image), str(number)) for number, image in enumerate(images)]
    known = np.array([known_probability(image[3]) for image in images])
    trust = np.array([answer["trust_probability"] for answer in answers])
    assert np.abs(trust - known).mean() < 0.06
    assert answers[0]["model"]["version"] == read_manifest(tmp_path / "new").version != "1.0.0"
    assert answers[0]["threshold"] == read_manifest(tmp_path / "new").threshold.value


def test_reading_the_journal_forgets_nothing(tiny_bundle, journal):
    manifest = read_manifest(tiny_bundle)
    for _ in range(2):
        found = recalibration.collect_feedback(f"sqlite:///{journal}", manifest, days=30)
        assert (len(found.target), found.complete) == (LABELS, True)


def test_without_the_training_package_the_feedback_can_be_carried_elsewhere(
    tiny_bundle, journal, recalibrate, tmp_path, monkeypatch
):
    monkeypatch.setattr(recalibration, "NEEDED", ("numpy", "a_package_that_is_not_here"))
    place = tmp_path / "carried" / "labels"
    status, said = recalibrate(tiny_bundle, "--journal", f"sqlite:///{journal}", "--feedback", place)
    assert status == 1
    assert "refitting needs a_package_that_is_not_here: pip install 'trustserve[training]'" in said
    assert f"trustserve-train recalibrate {tiny_bundle} --feedback {place} --to {tmp_path / 'new'}" in said
    assert len(np.load(place)["target"]) == LABELS


def test_journal_without_labels_of_this_bundle_is_told(tiny_bundle, recalibrate, tmp_path):
    url = f"sqlite:///{tmp_path / 'journal.sqlite'}"
    open_journal(url).close()
    status, said = recalibrate(tiny_bundle, "--journal", url)
    assert status == 1
    assert "no labelled answer of tiny 1.0.0 in the last 30 days" in said


def test_journal_that_is_not_there_is_told_and_not_made(tiny_bundle, recalibrate, tmp_path):
    status, said = recalibrate(tiny_bundle, "--journal", f"sqlite:///{tmp_path / 'journal.sqlite'}")
    assert status == 1
    assert "there is no journal at sqlite:///" in said
    assert not (tmp_path / "journal.sqlite").exists()


def test_database_that_is_away_is_one_sentence_without_its_password(tiny_bundle, recalibrate):
    status, said = recalibrate(tiny_bundle, "--journal", "postgresql://me:hush@127.0.0.1:9/trust")
    assert status == 1
    assert "the journal's database cannot be used now" in said
    assert "hush" not in said


def test_journal_that_is_off_is_told(tiny_bundle, recalibrate, monkeypatch):
    monkeypatch.setenv("TRUSTSERVE_JOURNAL", "off")
    status, said = recalibrate(tiny_bundle)
    assert status == 1
    assert "the journal is off; name the one to read with --journal" in said


def test_journal_of_the_settings_is_read_where_none_is_named(tiny_bundle, recalibrate, tmp_path, monkeypatch):
    monkeypatch.setenv("TRUSTSERVE_STATE", str(tmp_path / "nowhere"))
    assert load_settings().journal_url == f"sqlite:///{tmp_path / 'nowhere' / 'journal.sqlite'}"
    status, said = recalibrate(tiny_bundle)
    assert status == 1
    assert f"there is no journal at sqlite:///{tmp_path / 'nowhere' / 'journal.sqlite'}" in said
