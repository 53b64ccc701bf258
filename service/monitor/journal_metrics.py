"""How the journal fares; it belongs to the process, not to a model."""

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge

from service.journal.records import JournalCounts


class JournalMetrics:
    """Follows a journal's own counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._written = Counter("trust_journal_written", "Answers written to the journal.", registry=registry)
        self._dropped = Counter(
            "trust_journal_dropped", "Answers that the journal lost, by reason.", ["reason"], registry=registry
        )
        # One worker that cannot write is enough to look after it.
        self._up = Gauge(
            "trust_journal_up",
            "0 while the journal cannot be written, else 1.",
            registry=registry,
            multiprocess_mode="livemin",
        )
        # Without a journal, nothing is lost.
        self._up.set(1)
        # Each open bundle's monitor keeps them up to date.
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}

    def journal(self, counts: JournalCounts) -> None:
        """Catches up with a journal; to be called about once a second."""
        with self._lock:
            self._written.inc(self._grown("written", counts.written))
            for reason, total in counts.dropped.items():
                self._dropped.labels(reason).inc(self._grown(f"dropped {reason}", total))
            self._up.set(counts.up)

    def _grown(self, name: str, total: int) -> int:
        seen = self._seen.get(name, 0)
        # Counts that were read earlier may come later.
        self._seen[name] = max(seen, total)
        return self._seen[name] - seen
