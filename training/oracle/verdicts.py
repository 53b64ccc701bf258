"""What the oracle learns from: how the classifier did on each image, and how often it was right."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Verdicts:
    """How the classifier did on a batch."""

    correct: Tensor
    """(N,) bool."""
    target_probability: Tensor
    """(N,) what its softmax gave the true class."""
    predicted_probability: Tensor
    """(N,) what it gave its answer."""


def judge(logits: Tensor, targets: Tensor) -> Verdicts:
    """Verdicts on a classifier's logits (N, K), given the true classes (N,)."""
    probabilities = logits.softmax(1)
    predicted_probability, predicted = probabilities.max(1)
    return Verdicts(predicted == targets, probabilities.gather(1, targets[:, None])[:, 0], predicted_probability)


@dataclass(frozen=True)
class VerdictCounts:
    """How many of the verdicts that an oracle learns from are "correct", and how many are not."""

    correct: int
    incorrect: int

    @classmethod
    def of(cls, correct: Tensor) -> "VerdictCounts":
        """Counts of verdicts (N,) bool.

        >>> VerdictCounts.of(Tensor([1, 0, 1]).bool())
        VerdictCounts(correct=2, incorrect=1)
        """
        right = int(correct.sum())
        return cls(right, len(correct) - right)

    def __add__(self, other: "VerdictCounts") -> "VerdictCounts":
        return VerdictCounts(self.correct + other.correct, self.incorrect + other.incorrect)

    @property
    def both(self) -> bool:
        """Whether there is one of each kind at least."""
        return self.correct > 0 and self.incorrect > 0

    def require_both(self) -> None:
        """Refuses verdicts of one kind, which teach an oracle nothing.

        Raises:
            ValueError: naming the kind, and the way out.
        """
        if not self.both:
            kind = "correct" if self.correct else "incorrect"
            way_out = "take labels heldout or crossfit, or a classifier that fits its training images less closely"
            raise ValueError(
                f"all {max(self.correct, self.incorrect)} verdicts that the oracle would learn from are {kind}; "
                f"wanted both kinds: {way_out if self.correct else 'train the classifier first'}"
            )
