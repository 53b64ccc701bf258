"""Compare versions: one model, several bundles, side by side while a new one takes over."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.source.page import Row, page
from deploy.grafana.source.panels import curve, number, rows
from deploy.grafana.source.queries import JOB, WINDOW, recorded, select

NET_TRUST_SCORE = "model:net_trust_score"


def versions() -> Dashboard:
    return page(
        "trustserve-versions",
        "Compare versions",
        "Versions of one model that serve at the same time or one after the other, and how sure their difference is.",
        [_difference(), _side_by_side()],
        baseline=True,
    )


def _every(name: str) -> str:
    """A recorded figure of all versions."""
    return select(name, JOB, 'model="$model"', WINDOW)


def _of_baseline(name: str) -> str:
    return select(name, JOB, 'model="$model"', 'version="$baseline"', WINDOW)


def _less_baseline(figure: str) -> dict[str, str]:
    """The difference of two versions, which saw different answers: their standard errors add by squares."""
    difference = f"({recorded(f'{figure}:mean')} - ignoring (version) {_of_baseline(f'{figure}:mean')})"
    margin = (
        f"1.96 * sqrt({recorded(f'{figure}:standard_error')} ^ 2"
        f" + ignoring (version) {_of_baseline(f'{figure}:standard_error')} ^ 2)"
    )
    return {
        "difference, at least": f"{difference} - {margin}",
        "difference": difference,
        "difference, at most": f"{difference} + {margin}",
    }


def _by_version(figure: str, centre: str = "mean") -> dict[str, str]:
    ends = {"at least": "lower", "at most": "upper"}
    return {"{{version}}": _every(f"{figure}:{centre}")} | {
        f"{{{{version}}}}, {name}": _every(f"{figure}:{end}") for name, end in ends.items()
    }


def _difference() -> Row:
    colours = {float("-inf"): "red", -0.02: "orange", 0: "green"}
    score = number(
        "NetTrustScore: $version less $baseline",
        "none",
        "Difference over the last $window with its 95 % interval. Both must see the same kind of images: a canary that"
        " gets other traffic differs for that reason alone.",
        _less_baseline(NET_TRUST_SCORE),
        colours,
    )
    trust = number(
        "Mean trust: $version less $baseline",
        "percentunit",
        "Difference of mean trust, which is expected accuracy, over the last $window with its 95 % interval.",
        _less_baseline("model:trust"),
        colours,
    )
    over_time = curve(
        "NetTrustScore: $version less $baseline, over time",
        "none",
        "The same difference over time; the versions differ where the interval leaves 0.",
        {**_less_baseline(NET_TRUST_SCORE), "none": "vector(0)"},
    )
    return Row("The difference", 8, [(5, score), (5, trust), (14, over_time)])


def _side_by_side() -> Row:
    score = curve(
        "NetTrustScore by version",
        "none",
        "The estimate of each version over the last $window, with its 95 % interval.",
        _by_version(NET_TRUST_SCORE),
    )
    table = rows(
        "All figures by version",
        "none",
        "Over the last $window, with 95 % intervals, of the versions with 100 answers or more.",
        {
            "NetTrustScore": _every("model:net_trust_score:mean"),
            "at least": _every("model:net_trust_score:lower"),
            "at most": _every("model:net_trust_score:upper"),
            "trust rate": _every("model:trust_rate:ratio"),
            "trust rate, at least": _every("model:trust_rate:lower"),
            "trust rate, at most": _every("model:trust_rate:upper"),
            "answers": _every("model:predictions:increase"),
        },
        by="version",
        sort_by="version",
    )
    labelled = curve(
        "Risk among trusted answers by version",
        "percentunit",
        "Share of wrong ones among trusted answers, by the labels and their weights, with Wilson's 95 % interval.",
        _by_version("model:risk", centre="ratio"),
        low=0,
    )
    return Row("Side by side", 9, [(8, score), (8, table), (8, labelled)])
