"""The client: what an application calls."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Callable, Mapping, Optional, TypeVar, Union, overload
from uuid import UUID

from . import _lifetime  # noqa: F401
from ._event import BeforeSend, Drop, Item, changed, event_of
from ._execution import Execution
from ._json import Unfit, to_json
from ._sender import Sender
from ._settings import settings_of, time_limit
from ._tally import OnDrop, Stats, warn

_FLUSH = 10.0
_CLOSE = 5.0

Result = TypeVar("Result")
Self = TypeVar("Self", bound="_Client")
Id = Union[str, int, UUID, None]
Time = Union[datetime, str, float, None]


class _Client:
    """What both clients have. No method raises, and none but flush and close waits."""

    def __init__(
        self,
        url: Optional[str],
        key: Optional[str],
        *,
        enabled: Optional[bool] = None,
        confirm: bool = True,
        queue_events: int = 10_000,
        queue_bytes: int = 16 << 20,
        batch_events: int = 500,
        batch_bytes: int = 512 << 10,
        max_event_bytes: int = 256 << 10,
        linger: float = 0.5,
        timeout: float = 15.0,
        max_retries: Optional[int] = None,
        retry_base: float = 0.2,
        retry_max: float = 10.0,
        gzip: bool = True,
        before_send: Optional[BeforeSend] = None,
        on_drop: Optional[OnDrop] = warn,
    ) -> None:
        """Makes a client; it connects when the first events are sent.

        `url` is the gateway's address, `key` one of `eventlog key create`. `enabled=False`, or the
        environment variable `EVENTLOG_ENABLED=0`, logs nothing. With `confirm`, the gateway answers
        when the log has the events. Times are in seconds, sizes in bytes of JSON.
        """
        given = {
            "confirm": confirm,
            "gzip": gzip,
            "queue_events": queue_events,
            "queue_bytes": queue_bytes,
            "batch_events": batch_events,
            "batch_bytes": batch_bytes,
            "max_event_bytes": max_event_bytes,
            "linger": linger,
            "timeout": timeout,
            "max_retries": max_retries,
            "retry_base": retry_base,
            "retry_max": retry_max,
        }
        self._settings = settings_of(url, key, enabled, before_send, given)
        self._sender = Sender(self._settings, on_drop)

    def track(
        self,
        name: str,
        data: Optional[Mapping[str, Any]] = None,
        *,
        actor: Id = None,
        subject: Id = None,
        occurred_at: Time = None,
        idempotency_key: Optional[str] = None,
    ) -> None:
        """Logs an event: it goes into the queue, and a thread sends it together with others."""
        settings = self._settings
        if not settings.enabled:
            return
        entry: Union[Item, Drop]
        try:
            if settings.fault is not None:
                raise Unfit("misconfigured", settings.fault)
            event = event_of(name, data, actor, subject, occurred_at, idempotency_key)
            if settings.before_send is not None:
                kept = changed(event, settings.before_send, settings.max_event_bytes)
                if kept is None:
                    raise Unfit("before_send", "before_send dropped it")
                event = kept
            entry = Item(to_json(event, settings.max_event_bytes), event["name"])
        except Unfit as unfit:
            entry = Drop(unfit.reason, unfit.message, name[:100] if isinstance(name, str) else None)
        except Exception:
            entry = Drop("not_json", "it cannot be read", None)
        try:
            self._sender.enter(entry)
        except Exception:
            pass

    @overload
    def track_execution(
        self, name: str, fn: Callable[[], Result], params: Optional[Mapping[str, Any]] = None,
        context: Optional[Mapping[str, Any]] = None,
    ) -> Result: ...

    @overload
    def track_execution(
        self, name: str, fn: None = None, params: Optional[Mapping[str, Any]] = None,
        context: Optional[Mapping[str, Any]] = None,
    ) -> Execution: ...

    def track_execution(
        self,
        name: str,
        fn: Optional[Callable[[], Any]] = None,
        params: Optional[Mapping[str, Any]] = None,
        context: Optional[Mapping[str, Any]] = None,
    ) -> Any:
        """Calls a function and logs the event `name` with `durationMs`, `success`, `errorType` and
        `errorMessage` beside `params`. What it returns is handed on, and what it raises is raised; of a
        coroutine function, the coroutine that is returned must be awaited. Without a function it is a
        `with` block or a decorator. `context` has the named arguments of `track`."""
        execution = Execution(self.track, name, params, context)
        if fn is None:
            return execution
        return execution.call(fn) if self._settings.enabled else fn()

    def stats(self) -> Stats:
        """Returns the number of events by outcome so far, in this process."""
        return self._sender.stats()


class EventLog(_Client):
    """Logs events through the gateway. No method raises, and none but `flush` and `close` waits.

    Threads may share it, and processes that fork: a child begins with an empty queue.
    """

    def flush(self, timeout: float = _FLUSH) -> Stats:
        """Sends what waits, and waits until that has an end, or until the time is over."""
        self._sender.flush(time_limit(timeout, _FLUSH))
        return self.stats()

    def close(self, timeout: float = _CLOSE) -> Stats:
        """Sends what waits, within the time limit, and ends the client."""
        self._sender.close(time_limit(timeout, _CLOSE))
        return self.stats()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.close()
