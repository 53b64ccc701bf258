"""From rounds to figures: medians over rounds, and ratios taken within each round before their median."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.serving.rounds import Plan, Round


@dataclass(frozen=True)
class Term:
    """A figure of a server, or of the best of several, with one subject."""

    subject: str
    servers: tuple[str, ...]
    figure: str

    def of(self, found: Round) -> float | None:
        """Its value in one round: of several servers the best. None where none of them was measured.

        >>> Term("small", ("a", "b"), "rate@8").of({"small": {"a": {"rate@8": 10.0}, "b": {"rate@8": 12.0}}})
        12.0
        """
        servers = [found.get(self.subject, {}).get(name, {}) for name in self.servers]
        values = [figures[self.figure] for figures in servers if self.figure in figures]
        return (max if self.figure.startswith("rate") else min)(values) if values else None


def of_rounds(rounds: Sequence[Round], value: Callable[[Round], float | None]) -> float | None:
    """The median over the rounds that have a value; None where none has."""
    values = [found for found in map(value, rounds) if found is not None]
    return median(values) if values else None


def ratio(rounds: Sequence[Round], term: Term, to: Term) -> float | None:
    """How many times one figure the other is: the median of the ratios within each round.

    >>> rounds = [{"small": {"a": {"p50@1": 1.0}, "b": {"p50@1": b}}} for b in (2.0, 4.0, 3.0)]
    >>> ratio(rounds, Term("small", ("b",), "p50@1"), Term("small", ("a",), "p50@1"))
    3.0
    """

    def within(found: Round) -> float | None:
        one, other = term.of(found), to.of(found)
        return one / other if one is not None and other else None

    return of_rounds(rounds, within)


def left_out(plan: Plan, rounds: Sequence[Round]) -> list[str]:
    """What was to be measured in every round and was not in some."""
    wanted = [(subject, server) for subject, servers in plan.subjects.items() for server in servers]
    return [f"{subject}: {server}" for subject, server in wanted if any(server not in each[subject] for each in rounds)]


def not_answered(rounds: Sequence[Round]) -> dict[str, int]:
    """Requests that failed, by subject and server; none of them should."""
    counts: dict[str, int] = {}
    for found in rounds:
        for subject, servers in found.items():
            for server, figures in servers.items():
                failed = sum(int(value) for name, value in figures.items() if name.startswith("failed@"))
                if failed:
                    counts[f"{subject}: {server}"] = counts.get(f"{subject}: {server}", 0) + failed
    return counts
