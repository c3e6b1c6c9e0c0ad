"""Sends events with somebody else's client as it is published: python3 python.py CLIENT < TASK

TASK and what comes back are those of node.mjs beside it.
"""

import json
import sys
import time
from datetime import datetime

answers, errors = [], []


def on_error(error, _):
    errors.append(str(error))


def each(events):
    for event in events:
        yield event["name"], event["user"], datetime.fromisoformat(event["time"]), event["properties"]


def segment(address, key, events):
    from segment.analytics.client import Client

    client = Client(key, host=address, gzip=True, upload_size=50, upload_interval=0.1, on_error=on_error)
    for name, user, at, properties in each(events):
        client.track(user_id=user, event=name, timestamp=at, properties=properties)
    client.flush()
    client.join()


def rudderstack(address, key, events):
    from rudderstack.analytics.client import Client

    client = Client(key, host=address, upload_size=50, upload_interval=0.1, on_error=on_error)
    for name, user, at, properties in each(events):
        client.track(user, name, properties, timestamp=at)
    client.flush()
    client.join()


def posthog(address, key, events):
    from posthog import Posthog

    client = Posthog(
        key, host=address, gzip=True, flush_at=50, flush_interval=0.1, max_retries=10, on_error=on_error
    )
    for name, user, at, properties in each(events):
        client.capture(name, distinct_id=user, timestamp=at, properties=properties)
    client.flush()
    client.shutdown()


def cloudevents(address, key, events):
    """Only makes messages: an application sends them itself, and again if need be."""
    import requests
    from cloudevents.core.bindings.http import to_binary_event, to_structured_event
    from cloudevents.core.v1.event import CloudEvent

    session = requests.Session()

    def send(message):
        for _ in range(20):
            try:
                headers = {**message.headers, "authorization": f"Bearer {key}"}
                answer = session.post(f"{address}/api/cloudevents?wait=true", data=message.body, headers=headers)
            except requests.ConnectionError:
                time.sleep(0.2)
                continue
            answers.append(answer.status_code)
            if answer.ok:
                return
            if answer.status_code != 429 and answer.status_code < 500:
                errors.append(answer.text)
                return
            time.sleep(float(answer.headers.get("retry-after", 0.2)))
        errors.append("not sent")

    for number, (name, user, at, properties) in enumerate(each(events)):
        attributes = {"source": "/shop", "type": name, "time": at, "authtype": "user", "authid": user}
        event = CloudEvent({**attributes, "datacontenttype": "application/json"}, properties)
        send(to_binary_event(event) if number % 2 else to_structured_event(event))


clients = {"segment": segment, "rudderstack": rudderstack, "posthog": posthog, "cloudevents": cloudevents}
clients[sys.argv[1]](**json.load(sys.stdin))
print(json.dumps({"answers": answers, "errors": errors}))
