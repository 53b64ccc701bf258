"""The run as tables: the servers, the targets, the growth with connections."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.serving.rounds import ALONE, Round
from benchmarks.serving.servers import SERVERS
from benchmarks.serving.summary import Term, of_rounds
from benchmarks.serving.targets import BENTOML, LITSERVE, TARGETS

Cells = list[list[str]]
"""Header and rows."""


@dataclass(frozen=True)
class _Row:
    title: str
    servers: tuple[str, ...]


ROWS: Sequence[_Row] = (
    _Row("onnxruntime alone, best setting", (ALONE,)),
    *(_Row(SERVERS[name].title, (name,)) for name in ("naive", "tuned", "tuned-2")),
    _Row("LitServe 0.2.19, best of its settings", LITSERVE),
    _Row("BentoML 1.4.39, best of its settings", BENTOML),
    *(_Row(SERVERS[name].title, (name,)) for name in ("trustserve", "trustserve-2")),
    *(_Row(SERVERS[name].title, (name,)) for name in ("empty-upload", "empty-raw", "bare")),
)


def server_table(rounds: Sequence[Round]) -> Cells:
    """One row a server, in the order of what they do; answers a second, latency in milliseconds."""
    header = ["server", "small: answers/s at 8 / 32", "p50 / p99 ms at 1", "CPU ms an answer", "memory MB", "ready s"]
    header += ["ResNet-18 pair: p50 ms at 1", "answers/s at 8 / 32"]
    rows = [
        [
            row.title,
            _rates(rounds, "small", row.servers),
            _several(rounds, "small", row.servers, ("p50@1", "p99@1"), "{:.2f}".format),
            _several(rounds, "small", row.servers, ("cpu@32",), "{:.2f}".format),
            _several(rounds, "small", row.servers, ("memory_mb",), "{:.0f}".format),
            _several(rounds, "small", row.servers, ("ready_seconds",), "{:.1f}".format),
            _several(rounds, "resnet18", row.servers, ("p50@1",), "{:.1f}".format),
            _rates(rounds, "resnet18", row.servers),
        ]
        for row in ROWS
    ]
    return [header, *(row for row in rows if any(cell != "-" for cell in row[1:]))]


def target_table(rounds: Sequence[Round]) -> Cells:
    """One row a target, with what was reached."""
    rows = []
    for target in TARGETS:
        value = target.reached(rounds)
        times = "x" if target.to else ""
        bound = f"{'>=' if target.at_least else '<='} {target.bound:g}{times}"
        verdict = "not measured" if value is None else "met" if target.is_met(value) else "NOT met"
        reached = "-" if value is None else f"{value:.2f}{times}"
        rows.append([target.statement, f"{bound}{' (aim)' if target.aim else ''}", reached, verdict])
    return [["target", "bound", "reached", ""], *rows]


def connection_table(rounds: Sequence[Round], subject: str, connections: Sequence[int]) -> Cells:
    """One row a server: answers a second and p99 at each number of connections."""
    servers = list(dict.fromkeys(name for found in rounds for name in found.get(subject, {}) if name != ALONE))
    header = ["server", *(f"{count}: answers/s, p99 ms" for count in connections)]
    rows = [[SERVERS[name].title, *(_point(rounds, subject, name, count) for count in connections)] for name in servers]
    return [header, *rows]


def _point(rounds: Sequence[Round], subject: str, server: str, count: int) -> str:
    rate = of_rounds(rounds, Term(subject, (server,), f"rate@{count}").of)
    p99 = of_rounds(rounds, Term(subject, (server,), f"p99@{count}").of)
    return "-" if rate is None or p99 is None else f"{_rate(rate)}, {p99:,.1f}"


def _rates(rounds: Sequence[Round], subject: str, servers: tuple[str, ...]) -> str:
    if ALONE in servers:
        return _several(rounds, subject, servers, ("rate",), _rate)
    return _several(rounds, subject, servers, ("rate@8", "rate@32"), _rate)


def _rate(value: float) -> str:
    """With a digit after the point where that is more than noise."""
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _several(
    rounds: Sequence[Round],
    subject: str,
    servers: tuple[str, ...],
    figures: tuple[str, ...],
    shown: Callable[[float], str],
) -> str:
    values = [of_rounds(rounds, Term(subject, servers, figure).of) for figure in figures]
    present = [shown(value) for value in values if value is not None]
    return " / ".join(present) or "-"
