"""Puts the monitor of a bundle together: reference, state files, journal."""

from dataclasses import dataclass

from service.inference.bundle import Bundle
from service.journal.journal import Journal, open_journal
from service.monitor.background import Background
from service.monitor.live import Live
from service.monitor.memory import Memory
from service.monitor.metrics import Metrics
from service.monitor.state import state_digest
from service.monitor.subject import Subject
from service.settings import PREFIX, Settings, SettingsError
from trust.manifest import Threshold


@dataclass(frozen=True)
class Monitor:
    """What takes the answers and labels of a bundle, and what works beside the requests."""

    live: Live
    background: Background


def open_journal_of(settings: Settings) -> Journal | None:
    """The journal, one for the whole app, or None where the settings want none; blocks. Who opens it closes it.

    Raises:
        SettingsError: the journal's URL is of no database that it can use.
    """
    if settings.journal_url is None:
        return None
    try:
        return open_journal(settings.journal_url, settings.journal_days, settings.journal_rows, settings.journal_buffer)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}JOURNAL cannot be used: {error}") from error


def open_shadow_journal_of(settings: Settings) -> Journal | None:
    """Where a shadow's answers wait for labels, or None where the settings want no journal; blocks.

    A file of its own: in the journal, the same request ids stand for the answers that were given.
    """
    if settings.journal_url is None:
        return None
    url = f"sqlite:///{settings.state / 'shadow.sqlite'}"
    return open_journal(url, settings.journal_days, settings.journal_rows, settings.journal_buffer)


def open_monitor(
    bundle: Bundle,
    threshold: Threshold,
    settings: Settings,
    metrics: Metrics,
    journal: Journal | None,
    shadow: bool = False,
) -> Monitor:
    """The monitor of a bundle that is about to answer, beside those of other bundles; blocks.

    Args:
        bundle, threshold: what answers.
        settings, metrics: of the service.
        journal: where its answers wait for labels; None: there is none.
        shadow: the bundle answers nobody, and its journal is not the one that the metrics tell of.

    Raises:
        BundleError: the bundle's reference cannot be read.
    """
    subject = Subject.of(bundle, threshold, settings)
    model_metrics = metrics.of(bundle, threshold)
    # What gives the sums and alarms their meaning, beside the bundle.
    digest = state_digest(bundle, settings.reward, settings.penalty, settings.threshold, len(subject.names))
    memory = Memory(settings.state / digest, len(subject.names), subject.new_alarms)
    minimum = settings.monitor_minimum
    live = Live(subject, memory, model_metrics, journal, minimum)
    return Monitor(
        live, Background(live, metrics, subject, memory, model_metrics, None if shadow else journal, minimum)
    )
