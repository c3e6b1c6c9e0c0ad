"""Counts of events by outcome, and notices of those that are lost."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Callable, Dict, List, Optional

# Seconds between two notices of the same reason.
_NOTICE_EVERY = 10.0

# Longest message of a notice: it may come from a server that is not ours.
LONGEST_MESSAGE = 500

_logger = logging.getLogger("pg_eventlog")


@dataclass(frozen=True)
class DropNotice:
    """Tells of events that were dropped: at once for a new reason, then every ten seconds at most."""

    #: queue_full, not_json, too_large, invalid, before_send, before_send_failed, refused, denied,
    #: retries, closed, unconfirmed or misconfigured.
    reason: str
    #: Number of events since the last notice of this reason.
    count: int
    #: Why the last one was dropped; it names keys and limits, never values.
    message: str
    #: Name of the last one, if it is known.
    name: Optional[str]


OnDrop = Callable[[DropNotice], object]


def warn(notice: DropNotice) -> None:
    """Logs what was lost, where the application does not ask for it."""
    events = "event" if notice.count == 1 else "events"
    _logger.warning("%d %s dropped (%s): %s", notice.count, events, notice.reason, notice.message)


@dataclass(frozen=True)
class Stats:
    """Number of events by outcome. All but `submitted` add up to `submitted`."""

    #: Given to `track`.
    submitted: int = 0
    #: Stored, as the log confirmed.
    written: int = 0
    #: Taken by the gateway, which did not wait for the log.
    accepted: int = 0
    #: In the log before.
    duplicate: int = 0
    #: Sampled out, or of a tenant that opted out.
    left_out: int = 0
    #: Not logged, for one of `reasons`.
    dropped: int = 0
    #: In the queue or under way.
    pending: int = 0
    #: Number of dropped events by reason.
    reasons: Dict[str, int] = field(default_factory=dict)
    #: Why a request failed last.
    last_error: Optional[str] = None
    #: Seconds since the gateway was reached last; None while it is.
    failing_for: Optional[float] = None


class _Notice:
    __slots__ = ("count", "last", "message", "name")

    def __init__(self) -> None:
        self.last = float("-inf")
        self.count = 0
        self.message = ""
        self.name: Optional[str] = None


class Tally:
    """Counts events. Its caller holds a lock, and passes notices on without it."""

    def __init__(self, on_drop: Optional[OnDrop]) -> None:
        self._on_drop = on_drop
        self._notices: Dict[str, _Notice] = {}
        self._due: List[DropNotice] = []
        self.submitted = self.written = self.accepted = self.duplicate = self.left_out = self.dropped = 0
        self.reasons: Dict[str, int] = {}
        self.last_error: Optional[str] = None
        self._failing_since: Optional[float] = None

    def drop(self, reason: str, message: str, count: int = 1, name: Optional[str] = None) -> None:
        """Counts events that will not be in the log."""
        if count == 0:
            return
        self.dropped += count
        self.reasons[reason] = self.reasons.get(reason, 0) + count
        known = self._notices.setdefault(reason, _Notice())
        known.count += count
        known.message = message[:LONGEST_MESSAGE]
        known.name = name
        if time.monotonic() - known.last >= _NOTICE_EVERY:
            self._make_due(reason, known)

    def all_due(self) -> None:
        """Makes notices of what was held back."""
        for reason, known in self._notices.items():
            if known.count:
                self._make_due(reason, known)

    def _make_due(self, reason: str, known: _Notice) -> None:
        self._due.append(DropNotice(reason, known.count, known.message, known.name))
        known.last = time.monotonic()
        known.count = 0

    def tell(self) -> None:
        """Passes on the notices that are due. What a callback raises is not the caller's fault."""
        while self._due:
            try:
                notice = self._due.pop(0)
                if self._on_drop is not None:
                    self._on_drop(notice)
            except Exception:
                pass

    def reaching(self, error: Optional[str]) -> None:
        """Notes whether the gateway answers."""
        if error is None:
            self._failing_since = None
            return
        self.last_error = error[:LONGEST_MESSAGE]
        if self._failing_since is None:
            self._failing_since = time.monotonic()

    def stats(self, pending: int) -> Stats:
        """Returns the counts."""
        since = self._failing_since
        return Stats(
            submitted=self.submitted,
            written=self.written,
            accepted=self.accepted,
            duplicate=self.duplicate,
            left_out=self.left_out,
            dropped=self.dropped,
            pending=pending,
            reasons=dict(self.reasons),
            last_error=self.last_error,
            failing_for=None if since is None else time.monotonic() - since,
        )
