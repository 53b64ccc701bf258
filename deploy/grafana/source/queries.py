"""What panels ask Prometheus: recorded figures of the model, version and window that the reader chose.

A panel's queries are a mapping of legend to expression.
"""

from collections.abc import Mapping

Queries = Mapping[str, str]

JOB = 'job="$job"'
MODEL = f'{JOB}, model="$model", version="$version"'
INSTANCES = 'instance=~"$instance"'
WINDOW = 'window="$window"'
LEAST, MOST = "at least", "at most"


def select(metric: str, *labels: str) -> str:
    """The series of a metric that have these labels.

    >>> select("up", 'job="$job"', 'instance="a"')
    'up{job="$job", instance="a"}'
    """
    return f"{metric}{{{', '.join(labels)}}}"


def recorded(name: str, *labels: str, window: str = "$window") -> str:
    """A series that the recording rules make.

    >>> recorded("model_decision:confidence:mean", 'decision="trust"', window="1h")
    'model_decision:confidence:mean{job="$job", model="$model", version="$version", window="1h", decision="trust"}'
    """
    return select(name, MODEL, f'window="{window}"', *labels)


def estimate(figure: str, *labels: str, name: str = "estimate", centre: str = "mean") -> dict[str, str]:
    """A figure between the ends of its 95 % interval.

    >>> list(estimate("model:trust", name="mean trust"))
    ['mean trust, at least', 'mean trust', 'mean trust, at most']
    """
    return {
        f"{name}, {LEAST}": recorded(f"{figure}:lower", *labels),
        name: recorded(f"{figure}:{centre}", *labels),
        f"{name}, {MOST}": recorded(f"{figure}:upper", *labels),
    }


def reference(statistic: str) -> str:
    """A figure of the reference images in the bundle."""
    return select("model:reference:max", MODEL, f'statistic="{statistic}"')


def of_instances(metric: str) -> str:
    """A metric of the model as the instances chosen show it.

    >>> of_instances("trust_drift")
    'trust_drift{job="$job", model="$model", version="$version", instance=~"$instance"}'
    """
    return select(metric, MODEL, INSTANCES)


def of_processes(metric: str) -> str:
    """A metric that belongs to no model.

    >>> of_processes("trust_queue_length")
    'trust_queue_length{job="$job", instance=~"$instance"}'
    """
    return select(metric, JOB, INSTANCES)
