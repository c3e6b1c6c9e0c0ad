"""The queue of events, and the thread that sends it."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections import deque
from typing import Any, Callable, Deque, List, Optional, Sequence, TypeVar, Union

from ._event import Drop, Item
from ._settings import Settings
from ._tally import OnDrop, Stats, Tally
from ._transport import Answer, Transport

# The log knows an idempotency key for a day: a batch that is older could be logged twice.
_LONGEST_TRY = 23 * 3600.0

# Refusals in a row after which the next request waits.
_REFUSALS_AT_ONCE = 20
_REFUSAL_PAUSE = 0.05

# Seconds after which a thread without events ends; the next event starts another.
_IDLE = 60.0

# For so many seconds after the last event the thread looks by itself whether there are others, if the
# linger is no shorter than this.
_AWAKE = 5.0
_SHORTEST_LOOK = 0.01

#: The senders of this process.
senders: "weakref.WeakSet[Sender]" = weakref.WeakSet()

Result = TypeVar("Result")

#: Called when a thread is started.
at_start: List[Callable[[], None]] = []


class Sender:
    """Holds events within bounds, and sends them in batches, one after another.

    Signal handlers and finalizers may log too, in the midst of what the thread does here. So the lock
    is one that its thread may take again, and what comes meanwhile is put aside until it is free.
    """

    def __init__(self, settings: Settings, on_drop: Optional[OnDrop]) -> None:
        self._settings = settings
        self._on_drop = on_drop
        self._transport: Optional[Transport] = None
        self._begin()
        senders.add(self)

    def _begin(self) -> None:
        """Begins with nothing: also in the child of a fork, whose parent has the events."""
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._wakeup = threading.Condition(self._lock)
        self._done = threading.Condition(self._lock)
        self._is_busy = False
        self._aside: Deque[Union[Item, Drop]] = deque()
        self._tally = Tally(self._on_drop)
        self._queue: Deque[Item] = deque()
        self._queued_bytes = 0
        self._pending = 0
        self._pending_bytes = 0
        # Counts of events that came in and went out, to know when a flush is done.
        self._entered = 0
        self._left = 0
        self._thread: Optional[threading.Thread] = None
        self._most = self._settings.batch_events
        self._failures = 0
        self._refusals = self._denials = 0
        # How many wait for the queue to be sent.
        self._hurries = 0
        # True while the thread waits to be woken by the next event.
        self._is_asleep = False
        self._is_closed = False
        if self._transport is not None:
            self._transport.forget()
        self._transport = self._make_transport()

    def _make_transport(self) -> Optional[Transport]:
        one = self._settings
        if one.address is None or one.fault is not None:
            return None
        return Transport(one.address, one.key, one.timeout, one.confirm, one.gzip)

    def after_fork(self) -> None:
        """Begins anew in a child."""
        is_closed = self._is_closed
        self._begin()
        self._is_closed = is_closed

    # What the application's threads do.

    def enter(self, entry: Union[Item, Drop]) -> None:
        """Takes an event into the queue, or counts one that cannot be sent."""
        if self._pid != os.getpid():
            self.after_fork()
        with self._lock:
            self._aside.append(entry)
            if self._is_busy:
                return
            self._take_in()
        if self._tally._due:
            self._tally.tell()

    def _take_in(self) -> None:
        """Takes in what was put aside, by the thread that has the lock."""
        # Asked again when it is not busy any more: what comes in between would be left there.
        while self._aside:
            self._is_busy = True
            try:
                self._take_one(self._aside.popleft())
            finally:
                self._is_busy = False

    def _take_one(self, entry: Union[Item, Drop]) -> None:
        tally, settings = self._tally, self._settings
        tally.submitted += 1
        if isinstance(entry, Drop):
            tally.drop(entry.reason, entry.message, 1, entry.name)
            return
        if self._is_closed:
            tally.drop("closed", "the client is closed", 1, entry.name)
            return
        size = len(entry.json)
        if self._pending >= settings.queue_events or (
            self._pending and self._pending_bytes + size > settings.queue_bytes
        ):
            tally.drop("queue_full", f"the queue is full: {self._pending} events wait", 1, entry.name)
            return
        self._queue.append(entry)
        self._queued_bytes += size
        self._pending += 1
        self._pending_bytes += size
        self._entered += 1
        if self._thread is None:
            self._start()
        elif self._is_asleep or self._hurries or self._is_batch() and not self._was_batch(size):
            # A thread that is awake looks by itself: waking it costs more than all the rest.
            self._is_asleep = False
            self._wakeup.notify()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="pg-eventlog", daemon=True)
        try:
            thread.start()
            self._thread = thread
            for call in at_start:
                call()
        except RuntimeError:
            # No thread can be started now: the next event, or the end of the process, tries again.
            pass

    def flush(self, timeout: float) -> bool:
        """Waits until what is in the queue now has an end; returns false if the time was over first."""
        if self._pid != os.getpid():
            self.after_fork()
        until = time.monotonic() + timeout
        with self._lock:
            target = self._entered
            if self._left >= target:
                return True
            self._hurries += 1
            self._failures = min(self._failures, 1)
            if self._thread is None:
                self._start()
            self._wakeup.notify()
            try:
                while self._left < target and not self._is_closed:
                    left = until - time.monotonic()
                    if left <= 0 or self._thread is None:
                        break
                    self._done.wait(min(left, 3600.0))
                return self._left >= target
            finally:
                self._hurries -= 1

    def close(self, timeout: float) -> None:
        """Sends what waits, within the time limit, and ends."""
        if self._pid != os.getpid():
            self.after_fork()
        if not self._is_closed:
            self.flush(timeout)
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                under_way = self._pending - len(self._queue)
                message = "the client was closed before the gateway answered"
                self._tally.drop("unconfirmed", message, under_way)
                message = "the client was closed before they were sent"
                self._tally.drop("closed", message, len(self._queue))
                self._queue.clear()
                self._pending = self._pending_bytes = self._queued_bytes = 0
                self._wakeup.notify()
                self._done.notify_all()
                if self._transport is not None:
                    self._transport.abort()
            self._tally.all_due()
        self._tally.tell()

    def stats(self) -> Stats:
        """Returns the counts."""
        if self._pid != os.getpid():
            self.after_fork()
        with self._lock:
            return self._tally.stats(self._pending)

    # What the thread does.

    def _alone(self, change: Callable[..., Result], *given: Any) -> Result:
        """Changes the counts: an event that a finalizer logs in the midst of it is put aside."""
        self._is_busy = True
        try:
            return change(*given)
        finally:
            self._is_busy = False
            if self._aside:
                self._take_in()

    def _is_batch(self) -> bool:
        return len(self._queue) >= self._settings.batch_events or self._queued_bytes >= self._settings.batch_bytes

    def _was_batch(self, size: int) -> bool:
        """Returns true if it was one before the last event, of this size."""
        settings = self._settings
        return len(self._queue) > settings.batch_events or self._queued_bytes - size >= settings.batch_bytes

    def _run(self) -> None:
        pid = self._pid
        while pid == os.getpid():
            batch = self._next()
            if batch is None:
                return
            try:
                self._deliver(batch)
            except Exception as error:
                # A fault of ours, which must not end the thread with events in the queue.
                with self._lock:
                    self._alone(self._end, batch, "retries", f"the client has a fault: {error!r}")
            self._tally.tell()

    def _next(self) -> Optional[List[Item]]:
        """Waits for events, and for others to share their batch; returns None at the end."""
        with self._lock:
            linger = self._settings.linger
            began = time.monotonic()
            while True:
                if self._queue and (linger <= _SHORTEST_LOOK or self._is_batch() or self._hurries):
                    break
                idle = time.monotonic() - began
                if self._is_closed or (not self._queue and idle >= _IDLE):
                    self._thread = None
                    if self._transport is not None:
                        self._transport.disconnect()
                    return None
                # With events all the time it looks every so often, and need not be woken.
                self._is_asleep = not self._queue and (idle >= _AWAKE or linger <= _SHORTEST_LOOK)
                is_woken = self._wakeup.wait(_IDLE - idle + 0.001 if self._is_asleep else linger)
                self._is_asleep = False
                if self._queue and not is_woken:
                    break
            return self._alone(self._take)

    def _take(self) -> List[Item]:
        """Takes the next batch out of the queue."""
        batch: List[Item] = []
        size = 0
        while self._queue and len(batch) < self._most:
            item_size = len(self._queue[0].json) + 1
            if batch and size + item_size + 1 > self._settings.batch_bytes:
                break
            size += item_size
            batch.append(self._queue.popleft())
        self._queued_bytes -= size - len(batch)
        return batch

    def _deliver(self, batch: List[Item]) -> None:
        """Sends a batch, in parts if need be, until each of its events has an end."""
        transport = self._transport
        if transport is None:
            return
        began = time.monotonic()
        parts = [batch]
        while parts:
            part = parts.pop()
            answer = transport.send(part)
            with self._lock:
                if self._is_closed:
                    return
                rest = self._alone(self._judge, part, answer)
                if rest is not None:
                    parts.extend(reversed(rest))
                    self._pause()
                else:
                    self._failures += 1
                    is_over = time.monotonic() - began > _LONGEST_TRY
                    if self._failures > self._settings.max_retries or is_over:
                        self._alone(self._end, part, "retries", answer.message)
                        self._failures = 0
                    else:
                        parts.append(part)
                        # Clients that were told the same time do not all come back at once.
                        self._wait((answer.after or 0.0) + self._backoff(self._failures), answer.after is not None)
                if self._is_closed:
                    return
            self._tally.tell()

    def _pause(self) -> None:
        """Waits a little after many refusals in a row, longer if none of the requests is let in."""
        if self._denials:
            self._wait(self._backoff(self._denials), False)
        elif self._refusals > _REFUSALS_AT_ONCE:
            self._wait(random.random() * _REFUSAL_PAUSE, False)

    def _backoff(self, tries: int) -> float:
        """A random part of a time that doubles with each try."""
        most = min(self._settings.retry_max, self._settings.retry_base * 2.0 ** min(tries, 20))
        return random.random() * most

    def _wait(self, seconds: float, is_asked: bool) -> None:
        """Waits; whoever flushes ends the wait, unless the gateway asked for it."""
        until = time.monotonic() + seconds
        hurries = self._hurries
        while not self._is_closed:
            left = until - time.monotonic()
            if left <= 0 or (self._hurries > hurries and not is_asked):
                return
            hurries = min(hurries, self._hurries)
            self._wakeup.wait(left)

    def _judge(self, part: List[Item], answer: Answer) -> Optional[List[List[Item]]]:
        """Counts what an answer settles; returns the parts to send next, or None for the same again."""
        if answer.kind == "later":
            self._tally.reaching(answer.message)
            return None
        self._tally.reaching(None)
        self._failures = 0
        half = len(part) // 2
        halves = [part[:half], part[half:]]
        if answer.kind == "taken":
            self._refusals = self._denials = 0
            self._most = min(self._settings.batch_events, self._most * 2)
            self._taken(part, answer.verdicts)
            return []
        if answer.kind == "too_large":
            self._most = max(1, half)
            if half:
                return halves
            self._end(part, "too_large", answer.message)
            return []
        self._refusals += 1
        if answer.kind == "denied":
            self._denials += 1
            self._tally.last_error = answer.message
            self._end(part, "denied", answer.message)
            return []
        at = 0 if not half else answer.position
        if at is None or not 0 <= at < len(part):
            return halves
        self._end([part[at]], "refused", answer.message)
        rest = part[:at] + part[at + 1 :]
        return [rest] if rest else []

    def _taken(self, part: List[Item], verdicts: Optional[List[object]]) -> None:
        tally = self._tally
        if verdicts is None or len(verdicts) != len(part):
            tally.accepted += len(part)
            self._leave(part)
            return
        for item, verdict in zip(part, verdicts):
            one = verdict if isinstance(verdict, dict) else {}
            status = one.get("status")
            if status == "written":
                tally.written += 1
            elif status == "duplicate":
                tally.duplicate += 1
            elif status == "left_out":
                tally.left_out += 1
            elif status == "rejected":
                sqlstate = f" (SQLSTATE {one['sqlstate']})" if one.get("sqlstate") else ""
                tally.drop("refused", f"{one.get('message')}{sqlstate}", 1, item.name)
            else:
                tally.accepted += 1
        self._leave(part)

    def _leave(self, items: Sequence[Item]) -> None:
        self._pending -= len(items)
        self._left += len(items)
        self._pending_bytes -= sum(len(item.json) for item in items)
        self._done.notify_all()

    def _end(self, items: Sequence[Item], reason: str, message: str) -> None:
        """Drops events."""
        self._tally.drop(reason, message, len(items), items[0].name if items else None)
        self._leave(items)
