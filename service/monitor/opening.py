"""Puts the monitor of a bundle together: reference, state files, journal."""

from dataclasses import dataclass

from service.bundle import Bundle
from service.journal.journal import open_journal
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
    """What takes answers and labels, and what works beside the requests."""

    live: Live
    background: Background


def open_monitor(bundle: Bundle, threshold: Threshold, settings: Settings, metrics: Metrics) -> Monitor:
    """The monitor of a bundle that is about to answer; blocks.

    Raises:
        BundleError: the bundle's reference cannot be read.
        SettingsError: the journal's URL is of no database that it can use.
    """
    metrics.describe(bundle, threshold)
    subject = Subject.of(bundle, threshold, settings)
    journal = None
    if settings.journal_url is not None:
        try:
            journal = open_journal(
                settings.journal_url, settings.journal_days, settings.journal_rows, settings.journal_buffer
            )
        except ValueError as error:
            raise SettingsError(f"{PREFIX}JOURNAL cannot be used: {error}") from error
    # What gives the sums and alarms their meaning, beside the bundle.
    digest = state_digest(bundle, settings.reward, settings.penalty, settings.threshold, len(subject.names))
    memory = Memory(settings.state / digest, len(subject.names), subject.new_alarms)
    minimum = settings.monitor_minimum
    return Monitor(
        Live(subject, memory, metrics, journal, minimum), Background(subject, memory, metrics, journal, minimum)
    )
