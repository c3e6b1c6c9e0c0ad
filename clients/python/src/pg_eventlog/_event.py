"""What the application gives, as the JSON of an event."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Callable, Dict, NamedTuple, Optional

from ._json import Unfit, to_json

# Longest name, actor, subject or idempotency key that is sent: the log's own limits are lower.
_LONGEST_TEXT = 1_024

#: An event as `before_send` gets it: a copy with the keys name, data, actor, subject, occurredAt and
#: idempotencyKey, which may be changed.
OutgoingEvent = Dict[str, Any]

BeforeSend = Callable[[OutgoingEvent], Optional[OutgoingEvent]]


class Item(NamedTuple):
    """An event of the queue."""

    json: bytes
    name: str


class Drop(NamedTuple):
    """An event that does not get into the queue."""

    reason: str
    message: str
    name: Optional[str]


def _text_of(value: Any, key: str) -> Optional[str]:
    """Returns a text, or None for none; ids may be numbers or uuids."""
    if value is None:
        return None
    if isinstance(value, (int, uuid.UUID)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value:
        raise Unfit("invalid", f"{key} must be text")
    if len(value) > _LONGEST_TEXT:
        raise Unfit("invalid", f"{key} is longer than {_LONGEST_TEXT} characters")
    return value


def _time_of(value: Any) -> Any:
    """Returns a time as the gateway reads it. One without a zone is local."""
    if value is None:
        return round(time.time() * 1_000)
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.astimezone()).isoformat()
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return value
    raise Unfit("invalid", "occurred_at must be a datetime, a text or a number")


def event_of(name: Any, data: Any, actor: Any, subject: Any, occurred_at: Any, key: Any) -> OutgoingEvent:
    """Returns the event that is sent, as a dict."""
    if not isinstance(name, str) or not name:
        raise Unfit("invalid", "the name must be text")
    if data is not None and not isinstance(data, Mapping):
        raise Unfit("invalid", "the data must be a dict")
    event: OutgoingEvent = {"name": _text_of(name, "the name")}
    if data is not None:
        event["data"] = data
    if actor is not None:
        event["actor"] = _text_of(actor, "actor")
    if subject is not None:
        event["subject"] = _text_of(subject, "subject")
    event["occurredAt"] = _time_of(occurred_at)
    event["idempotencyKey"] = os.urandom(16).hex() if key is None else _text_of(key, "idempotency_key")
    return event


def changed(event: OutgoingEvent, before_send: BeforeSend, limit: int) -> Optional[OutgoingEvent]:
    """Has the application change an event, which it gets as a copy; returns it, or None to drop it."""
    copy = json.loads(to_json(event, limit))
    try:
        kept = before_send(copy)
    except Exception:
        raise Unfit("before_send_failed", "before_send raised an exception") from None
    if kept is None:
        return None
    if not isinstance(kept, dict):
        raise Unfit("before_send_failed", "before_send must return the event, or None to drop it")
    get = kept.get
    key = get("idempotencyKey") or event["idempotencyKey"]
    return event_of(get("name"), get("data"), get("actor"), get("subject"), get("occurredAt"), key)
