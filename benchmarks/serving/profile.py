"""Where the time of one request goes: python -m benchmarks.serving.profile, under a minute; fills docs/performance.md.

One connection, one request at a time, so that no step waits for another request. A step's own time is what it took
less what the steps within it took; what wrk saw beyond the handler is HTTP: sockets, parser, event loop, wrk itself.
"""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.serving.document import DOCUMENT, put
from benchmarks.serving.instrumented import STEPS
from benchmarks.serving.load import put_under_load
from benchmarks.serving.pairs import SUBJECTS, expected_answers
from benchmarks.serving.process import running
from benchmarks.serving.servers import Server
from benchmarks.serving.table import Cells

SECONDS = 5
REQUEST = "request, as wrk sees it"
HANDLER = "handler"

_INSTRUMENTED = Server(
    "trustserve, its steps clocked",
    ("{bin}/python", "-m", "benchmarks.serving.instrumented", "{port}", "{bundle}", "{state}"),
)
# What a step did by itself, where its name alone would not say.
_OWN = {
    REQUEST: "HTTP: sockets, parser, event loop, client",
    HANDLER: "request id, admission, request metrics, headers",
    "reading the form": "receiving the body",
    "waiting for the answer": "hops to the inference thread and back",
    "answering": "trust head, decision, answers",
}


@dataclass(frozen=True)
class Timed:
    """One step: microseconds a request by itself, without the steps within it."""

    title: str
    microseconds: float


def main() -> None:
    """Prints the table and puts it into the document."""
    parts: list[str | Cells] = []
    for name in ("small", "resnet18"):
        cells = as_table(profile(name))
        print(name, *(" | ".join(row) for row in cells), sep="\n")
        parts += [f"**{SUBJECTS[name].title}**", cells]
    put(DOCUMENT, "profile", parts)


def profile(subject: str) -> Sequence[Timed]:
    """The steps of a request for one pair, in order; the last is beside the request, in a thread of its own."""
    bundle, files = SUBJECTS[subject].bundle(), SUBJECTS[subject].images()
    with running(_INSTRUMENTED, bundle, expected_answers(bundle, files)) as process:
        put_under_load(process.url, "multipart", files, 1, 1)
        timings_url = process.url.replace("/predict", "/timings")
        _get(timings_url)
        load = put_under_load(process.url, "multipart", files, 1, SECONDS)
        return own_times(load.mean * 1000, **_get(timings_url))


def own_times(request: float, calls: Mapping[str, int], nanoseconds: Mapping[str, int]) -> Sequence[Timed]:
    """Microseconds a request of each step by itself.

    Args:
        request: microseconds of a request, from outside.
        calls, nanoseconds: of each step that ran, by title.
    """
    requests = calls[HANDLER]
    whole = {title: each / requests / 1000 for title, each in nanoseconds.items()}
    timed = [Timed(_OWN[REQUEST], request - whole[HANDLER])]
    for step in STEPS:
        if step.title in calls:
            inner = sum(whole.get(other.title, 0.0) for other in STEPS if other.within == step.title)
            timed.append(Timed(_OWN.get(step.title, step.title), whole[step.title] - inner))
    return timed


def as_table(timed: Sequence[Timed]) -> Cells:
    """One row a step; the sum is the request, without what runs beside it."""
    *steps, beside = timed
    total = sum(each.microseconds for each in steps)
    rows = [[each.title, f"{each.microseconds:,.0f}", f"{100 * each.microseconds / total:.0f} %"] for each in steps]
    rows += [
        ["**a request**", f"**{total:,.0f}**", ""],
        [f"beside it: {beside.title}", f"{beside.microseconds:,.0f}", ""],
    ]
    return [["step", "microseconds", "share"], *rows]


def _get(url: str) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(url, timeout=10) as response:
        said: dict[str, dict[str, int]] = json.loads(response.read())
        return said


if __name__ == "__main__":
    main()
