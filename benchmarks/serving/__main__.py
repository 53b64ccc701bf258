"""Measures the service beside its peers; prints tables, and of a whole run writes docs/performance.*.

python -m benchmarks.serving [--quick] [--pairs small resnet18] [--servers trustserve tuned]
"""

import sys
from collections.abc import Collection
from typing import Annotated

import cyclopts
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from benchmarks.serving.document import DOCUMENT, machine, write_json, write_plot, write_tables
from benchmarks.serving.pairs import SUBJECTS
from benchmarks.serving.rounds import ALONE, Plan, Round, measure
from benchmarks.serving.servers import ROOT, SERVERS
from benchmarks.serving.summary import left_out, not_answered
from benchmarks.serving.table import Cells, connection_table, server_table, target_table

PART_FOLDER = ROOT / "runs/bench"
_LEFT_OUT = ("litserve-plain", "litserve-2", "empty-raw", "bare")
"""Of a quick run."""

app = cyclopts.App(help="Measure the service beside its peers.")
Several = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative=())]


@app.default
def main(
    *,
    pairs: Several = tuple(SUBJECTS),
    servers: Several = (),
    connections: Annotated[tuple[int, ...], Parameter(consume_multiple=True, negative=())] = (1, 8, 32, 128),
    rounds: int = 3,
    pace: float = 1.0,
    quick: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Measure, print, write. A whole run takes under 25 minutes and writes docs/performance.*, a part runs/bench/.

    Args:
        pairs: what is served: small, resnet18, label, shared.
        servers: some of them by name; by default all, and onnxruntime without a server.
        connections: numbers of connections.
        rounds: how often each is measured.
        pace: how much longer than usual each measurement takes.
        quick: one short round without what is there for completeness; under four minutes, and only to be looked at.
    """
    _check(pairs, SUBJECTS, "pair")
    _check(servers, [*SERVERS, ALONE], "server")
    whole = not quick and not servers and set(pairs) == set(SUBJECTS) and 128 in connections
    if quick:
        connections, rounds, pace = (1, 32), 1, 0.5
    plan = Plan({name: _servers_of(name, servers, quick) for name in pairs}, connections, rounds, pace)
    console = Console(width=180)
    console.print(f"{machine()} About {plan.seconds() / 60:.0f} minutes.")
    found: list[Round] = []
    for each in measure(plan, lambda line: console.print(line, highlight=False, markup=False)):
        found.append(each)
        write_json(PART_FOLDER / "performance.json", plan, found)
    for name in plan.subjects:
        _show(console, SUBJECTS[name].title, connection_table(found, name, plan.connections_of(name)))
    _show(console, "servers", server_table(found))
    _show(console, "targets", target_table(found))
    if whole:
        write_json(DOCUMENT.with_suffix(".json"), plan, found)
        write_tables(DOCUMENT, plan, found)
    write_plot((DOCUMENT if whole else PART_FOLDER / "performance").with_suffix(".svg"), plan, found)
    troubles = [f"left out: {', '.join(missing)}"] if (missing := left_out(plan, found)) else []
    troubles += [f"{count} requests to {who} were not answered with 2xx" for who, count in not_answered(found).items()]
    if troubles:
        sys.exit("\n".join(troubles))


def _servers_of(subject: str, chosen: tuple[str, ...], quick: bool) -> tuple[str, ...]:
    possible = (*SUBJECTS[subject].servers, *((ALONE,) if SUBJECTS[subject].alone else ()))
    if quick and not chosen:
        possible = tuple(name for name in possible if name not in _LEFT_OUT)
    return tuple(name for name in possible if not chosen or name in chosen)


def _check(given: tuple[str, ...], known: Collection[str], what: str) -> None:
    if unknown := [name for name in given if name not in known]:
        sys.exit(f"no {what} {unknown[0]!r}; known are {', '.join(known)}")


def _show(console: Console, title: str, cells: Cells) -> None:
    table = Table(*cells[0], title=title)
    for row in cells[1:]:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    app()
