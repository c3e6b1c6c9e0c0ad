"""Settings: what is out of range is cut to it, what is no number has its default."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import SplitResult

from ._event import BeforeSend
from ._transport import track_url

# Threads cannot wait longer.
_FOR_EVER = 10 * 365 * 24 * 3600.0


@dataclass(frozen=True)
class Settings:
    """How a client behaves."""

    address: Optional[SplitResult]
    key: str
    #: Why the client cannot send, if so.
    fault: Optional[str]
    enabled: bool
    confirm: bool
    gzip: bool
    queue_events: int
    queue_bytes: int
    batch_events: int
    batch_bytes: int
    max_event_bytes: int
    linger: float
    timeout: float
    max_retries: float
    retry_base: float
    retry_max: float
    before_send: Optional[BeforeSend]


def number(value: Any, least: float, most: float, standard: float) -> float:
    """Returns a number within a range."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    return min(max(value if is_number else standard, least), most)


def time_limit(value: Any, standard: float) -> float:
    """Returns a time in seconds that a thread can wait."""
    return number(value, 0.0, _FOR_EVER, standard)


def settings_of(url: Any, key: Any, enabled: Optional[bool], before_send: Any, given: "dict[str, Any]") -> Settings:
    """Returns the settings of a client."""

    def seconds(name: str, standard: float) -> float:
        return number(given.get(name), 0.001, _FOR_EVER, standard)

    def whole(name: str, least: int, most: int, standard: int) -> int:
        return int(number(given.get(name), least, most, standard))

    address, fault = None, None
    try:
        address = track_url(url)
    except Exception as error:
        fault = f"the url cannot be used: {error}"
    if not isinstance(key, str) or not key or not all("!" <= sign <= "~" for sign in key):
        fault = "the key is missing or is no key"
    retries = given.get("max_retries")
    return Settings(
        address=address,
        key=str(key),
        fault=fault,
        enabled=os.environ.get("EVENTLOG_ENABLED") != "0" if enabled is None else bool(enabled),
        confirm=bool(given.get("confirm", True)),
        gzip=bool(given.get("gzip", True)),
        queue_events=whole("queue_events", 1, 10**9, 10_000),
        queue_bytes=whole("queue_bytes", 1_024, 10**12, 16 << 20),
        batch_events=whole("batch_events", 1, 1_000, 500),
        batch_bytes=whole("batch_bytes", 1_024, 1_000_000, 512 << 10),
        max_event_bytes=whole("max_event_bytes", 64, 1_000_000, 256 << 10),
        linger=number(given.get("linger"), 0.0, _FOR_EVER, 0.5),
        timeout=seconds("timeout", 15.0),
        max_retries=math.inf if retries is None else number(retries, 0, math.inf, math.inf),
        retry_base=seconds("retry_base", 0.2),
        retry_max=seconds("retry_max", 10.0),
        before_send=before_send if callable(before_send) else None,
    )
