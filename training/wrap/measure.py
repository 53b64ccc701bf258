"""The final table: what is served against every score of the logits, on test images that nothing has touched."""

from typing import Any

from rich.progress import track

from training.data.dataset import Dataset
from training.evaluate import CLEAN, corrupted_copies, measures, summarise
from training.gate import Answers
from training.scores.methods import trust_scores
from training.scores.posthoc import PostHoc
from training.shift.transforms import NAMED
from training.threshold import choose_threshold
from training.wrap.candidates import Candidate
from training.wrap.options import WrapOptions
from trust.head import Floats, TrustHead, trust_probability

NOT_PROMOTED = "heads on features (not promoted)"


def measure_wrapped(
    candidate: Candidate, served: TrustHead, posthoc: PostHoc, dataset: Dataset, options: WrapOptions
) -> dict[str, Any]:
    """Every score's measures on clean test images and under each kind of corruption, with the summary.

    Args:
        candidate: the heads if there are any, promoted or not, else the best score.
        served: what the bundle's trust is made of.
        posthoc: the scores it is compared with.
        dataset: the reference split chooses each score's threshold, the test split is measured on.
        options: seed of the corruptions, and what each score's threshold promises.
    """

    def scores(answers: Answers) -> dict[str, Floats]:
        found = trust_scores(answers.outputs, served, posthoc)
        if candidate.head is not served:
            found[NOT_PROMOTED] = trust_probability(candidate.head, answers.outputs)
        return found

    reference = _answers(candidate, dataset, "reference", CLEAN, options.seed)
    limits = {
        name: choose_threshold(score, reference.correct, options.risk, options.confidence).value
        for name, score in scores(reference).items()
    }
    table = {}
    for condition in track([CLEAN, *NAMED], "measuring on the test images"):
        answers = _answers(candidate, dataset, "test", condition, options.seed)
        correct, surety = answers.correct, answers.outputs["probabilities"].max(1).astype(float)
        methods = {name: measures(score, correct, surety, limits[name]) for name, score in scores(answers).items()}
        table[condition] = {"accuracy": float(correct.mean()), "methods": {n: _single(m) for n, m in methods.items()}}
    return {"summary": summarise(table), "conditions": table}


def _answers(candidate: Candidate, dataset: Dataset, split_name: str, condition: str, seed: int) -> Answers:
    split = getattr(dataset, split_name)
    if condition == CLEAN:
        return Answers(candidate.networks.outputs(split.batches()), split.targets)
    batches, targets = corrupted_copies(split, condition, seed)
    return Answers(candidate.networks.outputs(batches), targets)


def _single(values: dict[str, float]) -> dict[str, dict[str, float]]:
    """In the form that tables of several oracle seeds have: one seed has no spread."""
    return {name: {"mean": round(value, 5), "sd": 0.0} for name, value in values.items()}
