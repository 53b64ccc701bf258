"""Serving: how the service does, instance by instance: traffic, errors, latency, batches, queue, journal."""

from grafana_foundation_sdk.builders.dashboard import Dashboard

from deploy.grafana.source.page import Row, page
from deploy.grafana.source.panels import curve, listing, number
from deploy.grafana.source.queries import JOB, WINDOW, of_instances, of_processes, select


def serving() -> Dashboard:
    return page(
        "trustserve-serving",
        "Serving",
        "How the service does: traffic, errors, latency, batches, queue and journal.",
        [_traffic(), _latency(), _journal()],
    )


def _job(name: str) -> str:
    """A recorded figure of all instances."""
    return select(name, JOB, WINDOW)


def _traffic() -> Row:
    answered = curve(
        "Answers by decision",
        "reqps",
        "Answers per second of the instances chosen, trusted and untrusted.",
        {"{{decision}}": f"sum by (decision) (rate({of_instances('trust_predictions_total')}[$__rate_interval]))"},
        low=0,
    )
    errors = curve(
        "Requests without an answer, by reason",
        "reqps",
        "Requests per second to /predict that ended in an error. Those about an image are the callers' fault;"
        " internal, not_ready, overloaded, deadline_exceeded, inference_failed and answer_invalid are the service's.",
        {"{{reason}}": f"sum by (reason) (rate({of_processes('trust_errors_total')}[$__rate_interval]))"},
        low=0,
    )
    failed = number(
        "Failed requests",
        "percentunit",
        "Share of requests over the last $window that failed by the service's own fault, of all instances; from 100"
        " requests on.",
        {"failed": _job("job:failures:ratio")},
        {float("-inf"): "green", 0.01: "orange", 0.05: "red"},
    )
    up = number(
        "Instances up",
        "short",
        "Instances that answer Prometheus.",
        {"up": f"sum({of_processes('up')})"},
        {float("-inf"): "red", 1: "green"},
    )
    return Row("Traffic", 8, [(9, answered), (9, errors), (3, failed), (3, up)])


def _latency() -> Row:
    latency = curve(
        "Latency of POST /predict",
        "s",
        "Half, nine tenths and ninety-nine hundredths of the requests of the last $window take up to this long, of all"
        " instances; from 100 requests on.",
        {"{{quantile}}": _job("job:request_seconds:quantile")},
        low=0,
    )
    batch = curve(
        "Images in a batch, mean",
        "short",
        "Grows with traffic up to TRUSTSERVE_MAX_BATCH; batches stay small where images come one by one.",
        {"images": _job("job:batch_size:mean")},
        low=0,
    )
    queue = curve(
        "Queue",
        "short",
        "Images that wait for their answer, and how many may wait before requests are refused with status 503.",
        {
            "{{instance}}": f"sum by (instance) ({of_processes('trust_queue_length')})",
            "{{instance}}, capacity": f"sum by (instance) ({of_processes('trust_queue_capacity')})",
        },
        low=0,
    )
    return Row("Latency, batches, queue", 8, [(10, latency), (6, batch), (8, queue)])


def _journal() -> Row:
    written = curve(
        "Answers journaled and lost",
        "cps",
        "Answers per second written to the journal, and those dropped because it was full or away: their labels will"
        " find nothing.",
        {
            "written": f"sum(rate({of_processes('trust_journal_written_total')}[$__rate_interval]))",
            "dropped: {{reason}}": "sum by (reason) "
            f"(rate({of_processes('trust_journal_dropped_total')}[$__rate_interval]))",
        },
        low=0,
    )
    journal = number(
        "Journal",
        "bool_on_off",
        "Whether the journal can be written; off where any instance cannot.",
        {"journal": f"min({of_processes('trust_journal_up')})"},
        {float("-inf"): "red", 1: "green"},
    )
    captures = number(
        "Images captured",
        "short",
        "Images kept for investigation, GET /captures; none unless capture is switched on.",
        {"images": f"sum({of_processes('trust_captures')})"},
    )
    models = listing(
        "What serves",
        "none",
        "Model, version and where the networks run, by instance.",
        of_processes("trust_model_info"),
        {"instance": "instance", "model": "model", "version": "version", "provider": "provider"},
    )
    return Row("Journal, captures, models", 8, [(9, written), (3, journal), (3, captures), (9, models)])
