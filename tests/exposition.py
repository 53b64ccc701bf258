"""What `/metrics` says, as a dictionary."""

from prometheus_client.parser import text_string_to_metric_families

Series = tuple[str, frozenset[tuple[str, str]]]


def series(name: str, **labels: str) -> Series:
    """The key of one series."""
    return name, frozenset(labels.items())


def samples(text: str) -> dict[Series, float]:
    """Every sample of an answer of `/metrics`."""
    found: dict[Series, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = series(sample.name, **sample.labels)
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found
