"""How long `track` takes, for bench/src/clients.rs: python3 bench.py EVENTS"""

import json
import os
import sys
import time

from pg_eventlog import EventLog

EVENTS = int(sys.argv[1])


def measure(name, count, pause, is_json=False):
    """Prints the median, the 99th percentile and the longest, in µs: of `track`, or of its JSON alone."""
    log = EventLog(os.environ["EVENTLOG_URL"], os.environ["EVENTLOG_KEY"], queue_events=10**6, queue_bytes=10**9)
    times = []
    for n in range(count):
        data = {
            "toolName": "search",
            "hookEvent": "PostToolUse",
            "number": n,
            "success": True,
            "note": "as long as the payload of an ordinary event, more or less",
        }
        actor = f"user {n % 50}"
        began = time.perf_counter_ns()
        if is_json:
            json.dumps(data)
        else:
            log.track("tool_used", data, actor=actor)
        times.append((time.perf_counter_ns() - began) / 1_000)
        pause(n)
    dropped = log.close(120).dropped
    assert dropped == 0, f"{dropped} dropped"
    times.sort()
    if name:
        print(name, *(f"{times[int((len(times) - 1) * part)]:.3f}" for part in (0.5, 0.99, 1)))


def steady(n):
    if n % 10 == 9:
        time.sleep(0.01)


measure("", 1_000, lambda n: None)
measure("JSON", EVENTS // 2, steady, True)
measure("steady", EVENTS // 2, steady)
measure("flood", EVENTS, lambda n: None)
