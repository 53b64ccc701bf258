"""The final table: what is served against every other score, on test images that nothing has touched."""

from training.data.dataset import Dataset
from training.evaluation.conditions import Condition
from training.evaluation.scorers import OracleRows, Views, fit_scorers
from training.evaluation.table import CleanAnswers, Results, evaluate
from training.wrap.candidates import Candidate
from training.wrap.options import WrapOptions
from trust.head import TrustHead

SERVED, CANDIDATE = "served", "candidate"
NOT_PROMOTED = "heads on features (not promoted)"


def measure_wrapped(
    candidate: Candidate, served: TrustHead, dataset: Dataset, options: WrapOptions
) -> tuple[Results, CleanAnswers]:
    """Every score's measures on clean test images and under each kind of corruption, with the summary.

    Args:
        candidate: the heads if there are any, promoted or not, else the best score.
        served: what the bundle's trust is made of.
        dataset: the calibration split fits the scores, the reference split chooses the threshold of each, the test
            split is measured on.
        options: seed of the corruptions, and what each score's threshold promises.
    """
    rows = {SERVED: OracleRows(served)}
    if candidate.head is not served:
        rows[CANDIDATE] = OracleRows(candidate.head, trust=NOT_PROMOTED)

    def outputs_of(condition: Condition) -> Views:
        return dict.fromkeys(rows, candidate.networks.outputs(condition.batches()))

    scorers = fit_scorers(outputs_of, rows, dataset, options.risk, options.confidence)
    return evaluate(outputs_of, scorers, dataset.test, options.seed)
