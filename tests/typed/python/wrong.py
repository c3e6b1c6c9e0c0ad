"""Uses that type checkers refuse. Those that run are refused by the log, with this SQLSTATE."""

import dataclasses
import json
import os

import client
import events
from pg_eventlog import EventLog

log = EventLog(url=os.environ["EVENTLOG_URL"], key=os.environ["EVENTLOG_KEY"], on_drop=None)
typed = client.Events(log)

a: events.OrderPlaced = {"orderId": "A-1", "channel": "web", "total": 1, "chanel": "web"}  # refused 23514
b: events.OrderPlaced = {"orderId": "A-1", "channel": "web"}  # refused 23514
c: events.OrderPlaced = {"orderId": "A-1", "channel": "phone", "total": 1}  # refused 23514
d: events.OrderPlaced = {"orderId": 17, "channel": "web", "total": 1}  # refused 23514
e: events.OrderPlaced = {"orderId": "A-1", "channel": "web", "total": "1"}  # refused 23514
f: events.OrderPlaced = {"orderId": "A-1", "channel": "web", "total": None}  # refused 23514
g: events.OrderPlaced = {"orderId": "A-1", "channel": "web", "total": 1, "items": {"id": 7}}  # refused 23514
for order in (a, b, c, d, e, f, g):
    log.track("order_placed", order)

typed.order_placed(order_id="A-1", channel="phone", total=1)  # refused 23514
typed.order_placed(order_id=17, channel="web", total=1)  # refused 23514
typed.order_placed(order_id="A-1", channel="web", total="1")  # refused 23514
typed.order_placed(order_id="A-1", channel="web", total=None)  # refused 23514
typed.order_placed(order_id="A-1", channel="web", total=1, priority=4)  # refused 23514
typed.order_placed(order_id="A-1", channel="web", total=1, is_gift="yes")  # refused 23514
typed.order_placed(order_id="A-1", channel="web", total=1, items={"id": 7})  # refused 23514
typed.order_placed(order_id="A-1", channel="web", total=1, address=["Graz"])  # refused 23514
typed.page_viewed(path=1)  # refused 23514
log.track(*events.page_viewed(path=["/"]))  # refused 23514


def never() -> None:
    """Python itself would raise an error here."""
    typed.order_placed(order_id="A-1", channel="web", total=1, chanel="web")  # wrong
    typed.order_placed(order_id="A-1", channel="web")  # wrong
    typed.ping(x=1)  # wrong
    typed.order_cancelled(order_id="A-1")  # deprecated, so wrong
    typed.order_placd(order_id="A-1", channel="web", total=1)  # wrong
    events.page_viewed()  # wrong
    name: events.EventName = "order_placd"  # wrong
    print(name)


print(json.dumps(dataclasses.asdict(log.close(timeout=60))))
