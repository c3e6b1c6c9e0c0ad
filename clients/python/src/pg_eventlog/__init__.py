"""Logs events to eventlog, the event log in PostgreSQL, through its gateway.

    from pg_eventlog import EventLog

    log = EventLog(url="https://events.example.com", key=os.environ["EVENTLOG_KEY"])
    log.track("tool_used", {"toolName": "search"}, actor="user-17")
"""

from ._aio import AsyncEventLog
from ._client import EventLog
from ._event import OutgoingEvent
from ._tally import DropNotice, Stats

__all__ = ["AsyncEventLog", "DropNotice", "EventLog", "OutgoingEvent", "Stats"]
__version__ = "0.2.0"
