"""Uses that type checkers take, and the log too."""

import dataclasses
import json
import os
from datetime import datetime, timezone

import client
import events
from pg_eventlog import EventLog

log = EventLog(url=os.environ["EVENTLOG_URL"], key=os.environ["EVENTLOG_KEY"], on_drop=None)
typed = client.Events(log)

typed.order_placed(order_id="A-1", channel="web", total=12.5, actor="ada", idempotency_key="A-1")
typed.order_placed(
    order_id="A-2", channel="app", total=0, coupon=None, priority=3, is_gift=True, items=[{"id": 7}],
    address={"city": "Graz"}, key_2nd="x", occurred_at=datetime.now(timezone.utc),
)
typed.page_viewed(path="/", other={"referrer": "https://example.com", "depth": 2})
typed.ping()

# The types alone, with any client.
order: events.OrderPlaced = {"orderId": "A-3", "channel": "web", "total": 1}
log.track("order_placed", order)
log.track(*events.order_placed(order_id="A-4", channel="app", total=1), actor="ada")
name, data = events.page_viewed(path="/basket")
log.track(name, data)
log.track(*events.ping())

print(json.dumps(dataclasses.asdict(log.close(timeout=60))))
