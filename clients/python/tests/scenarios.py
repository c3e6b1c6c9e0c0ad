"""Does something with the client, for tests/tests/cli/own_clients.rs: python3 scenarios.py NAME

The gateway is that of EVENTLOG_URL, with the key EVENTLOG_KEY. What comes of it is printed as JSON, a
line each; `have` has the test do something and waits until it has.
"""

import asyncio
import dataclasses
import http.client
import json
import multiprocessing
import os
import resource
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

from pg_eventlog import AsyncEventLog, EventLog

LONG = 120.0
notices = []


def said(stats):
    """The counts under the names that the other client has."""
    counts = dataclasses.asdict(stats)
    counts["leftOut"] = counts.pop("left_out")
    return counts


def say(what):
    print(json.dumps(what), flush=True)


def have(what):
    say({"have": what})
    sys.stdin.readline()


def client(kind=EventLog, **options):
    standard = {
        "on_drop": lambda notice: notices.append(dataclasses.asdict(notice)),
        "linger": 0.02,
        "retry_max": 0.2,
    }
    return kind(os.environ["EVENTLOG_URL"], os.environ["EVENTLOG_KEY"], **{**standard, **options})


def number(log, n, **options):
    log.track("tool_used", {"toolName": "t", "n": n}, **{"actor": f"user {n % 10}", **options})


def thousand():
    log = client()
    first = datetime.fromtimestamp(1_764_000_000, timezone.utc)
    for n in range(1_000):
        number(log, n, subject=f"thing {n}", occurred_at=first + timedelta(milliseconds=n))
    say(said(log.close(LONG)))


def outage():
    log = client()
    sent = 0
    has_ended = threading.Event()

    def steadily():
        nonlocal sent
        while not has_ended.wait(0.002):
            number(log, sent)
            sent += 1

    def until(count):
        while sent < count:
            time.sleep(0.005)

    thread = threading.Thread(target=steadily)
    thread.start()
    until(100)
    have("kill")
    until(sent + 100)
    have("start")
    until(sent + 100)
    has_ended.set()
    thread.join()
    say({"sent": sent, **said(log.close(LONG))})


def flood():
    log = client(queue_events=1_000)
    number(log, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for n in range(200_000):
        number(log, n)
    full = said(log.stats())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    meanwhile = len(notices)
    closed = said(log.close(0.1))
    say({"full": full, "grown": grown, "noticesMeanwhile": meanwhile, **closed, "notices": notices})


def hang():
    log = client(timeout=0.3)
    for n in range(100):
        number(log, n)
    flushed = said(log.flush(1.0))
    for n in range(100):
        number(log, n)
    began = time.monotonic()
    closed = said(log.close(0.5))
    took = time.monotonic() - began
    number(log, 1)
    late = log.stats().reasons["closed"]
    say({"flushed": flushed, "tookMs": took * 1_000, **closed, "late": late})


def few():
    log = client()
    for n in range(10):
        number(log, n)
    say({**said(log.close(LONG)), "notices": notices})


def refused():
    log = client()
    number(log, 0)
    number(log, 1, occurred_at="no time")
    number(log, 2)
    log.track("nonesuch", {"n": 3})
    number(log, 4, occurred_at="nor this")
    number(log, 5)
    say({**said(log.close(LONG)), "notices": notices})


def limit():
    log = client(batch_events=30)
    for n in range(70):
        number(log, n)
    say(said(log.close(LONG)))


def gzip():
    encodings = []
    request = http.client.HTTPConnection.request

    def watched(self, method, url, body=None, headers={}, **rest):
        encodings.append(headers.get("Content-Encoding", "none"))
        return request(self, method, url, body, headers, **rest)

    http.client.HTTPConnection.request = watched
    log = client()
    number(log, 0)
    log.flush(LONG)
    for n in range(50):
        log.track("tool_used", {"toolName": "t", "n": n + 1, "text": "äöü€😀" * 50})
    say({**said(log.close(LONG)), "encodings": encodings})


def exits():
    log = client(linger=60.0)
    for n in range(50):
        number(log, n)


def execution():
    log = client()
    failure = LookupError("out of range")
    caught = []
    context = {"actor": "user 1"}

    def throws():
        raise failure

    async def rejects():
        raise failure

    async def two():
        return 2

    def params(name):
        return {"skillName": name}

    results = [
        log.track_execution("skill_executed", lambda: 1, params("sync"), context),
        asyncio.run(log.track_execution("skill_executed", two, params("async"), context)),
    ]
    try:
        log.track_execution("skill_executed", throws, params("throws"), context)
    except LookupError as error:
        caught.append(error is failure)
    try:
        asyncio.run(log.track_execution("skill_executed", rejects, params("rejects"), context))
    except LookupError as error:
        caught.append(error is failure)
    say({"results": results, "caught": caught, **said(log.close(LONG))})


def forks():
    """A parent and its children log with one client that was made before they forked."""
    log = client(linger=0.5)
    number(log, 0)
    pids = []
    for n in (1, 2):
        pid = os.fork()
        if pid == 0:
            number(log, n)
            said_here = log.close(LONG)
            os._exit(0 if (said_here.submitted, said_here.written) == (1, 1) else 1)
        pids.append(pid)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    # A child of the library ends without atexit.
    child = multiprocessing.get_context("fork").Process(target=number, args=(log, 3))
    child.start()
    child.join()
    statuses.append(child.exitcode)
    say({"statuses": statuses, **said(log.close(LONG))})


def loops():
    """A loop goes on while its client waits."""

    async def main():
        turns = 0

        async def turn():
            nonlocal turns
            while True:
                await asyncio.sleep(0.001)
                turns += 1

        turning = asyncio.create_task(turn())
        async with client(AsyncEventLog) as log:
            for n in range(500):
                number(log, n)
            await log.flush(LONG)
        turning.cancel()
        say({"turns": turns, **said(log.stats())})

    asyncio.run(main())


if __name__ == "__main__":
    globals()[sys.argv[1]]()
