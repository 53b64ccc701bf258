"""Trust against confidence on reference images: the table says "better" only where the answers show it."""

import numpy as np

from training.bundle.compare import MEASURES, compare_rows
from training.bundle.reference import ReferenceAnswers, read_reference
from training.cli import app
from training.metrics.ranking import auroc


def answers(trust_knows, confidence_knows, count=2000):
    """Answers right with probability one half, and two scores that know more or less of which."""
    draw = np.random.default_rng(0)
    correct = draw.random(count) < 0.5
    side = 2 * correct - 1
    trust, confidence = (
        0.5 + 0.25 * knows * side + 0.25 * (draw.random(count) - 0.5) for knows in (trust_knows, confidence_knows)
    )
    return ReferenceAnswers(trust, confidence, correct, np.zeros(count, int))


def better(found):
    return {row[0]: row[-1] for row in compare_rows(found, resamples=200, seed=0)[1:]}


def test_values_are_the_measures_themselves(trained):
    found = read_reference(trained.bundle)
    rows = {row[0]: row for row in compare_rows(found, resamples=50, seed=0)[1:]}
    assert rows.keys() == MEASURES.keys()
    assert rows["AUROC"][1].startswith(f"{auroc(found.confidence, found.correct):.4f} [")
    assert rows["AUROC"][2].startswith(f"{auroc(found.trust, found.correct):.4f} [")


def test_trust_that_knows_more_is_better_in_every_measure_of_ranking():
    found = better(answers(trust_knows=0.6, confidence_knows=0.1))
    for name in ("AUROC", "AUPR-Error", "AUPR-Success", "FPR at 95 % TPR", "AURC", "AUGRC", "Brier score"):
        assert found[name] == "trust", name


def test_trust_that_knows_less_is_not():
    found = better(answers(trust_knows=0.1, confidence_knows=0.6))
    for name in ("AUROC", "AURC", "AUGRC", "Brier score"):
        assert found[name] == "confidence", name


def test_same_score_is_better_nowhere():
    found = answers(0.3, 0.3)
    same = ReferenceAnswers(found.trust, found.trust, found.correct, found.predicted)
    assert set(better(same).values()) == {"-"}


def test_command_prints_a_row_a_measure(trained, capsys):
    app(["compare", str(trained.bundle), "--resamples", "20"], result_action="return_value")
    printed = capsys.readouterr().out
    assert all(name in printed for name in MEASURES)


def test_seed_fixes_the_intervals():
    found = answers(0.4, 0.2, count=300)
    first, again, other = (compare_rows(found, resamples=50, seed=seed) for seed in (1, 1, 2))
    assert first == again != other
