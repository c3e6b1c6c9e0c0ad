"""What needs no log: PYTHONPATH=src python3 -m unittest discover tests. The gateway is a server in here."""

import datetime
import decimal
import enum
import gc
import json
import os
import signal
import threading
import time
import unittest
import uuid
from unittest import mock

from gateway import Case, Refuses

from pg_eventlog import EventLog
from pg_eventlog._json import to_json
from pg_eventlog._transport import meaning, retry_after, track_url


class Color(enum.Enum):
    RED = "red"


class Whole(enum.IntEnum):
    ONE = 1


class Data(Case):
    def test_data_is_written_as_json(self):
        for value in [{}, [], None, True, 1, 1.5, -0.0, 10**40, "ä😀\"\\\n\x00", {"a": [{"b": None}], "c": (1, "x")}]:
            self.assertEqual(json.loads(to_json(value, 10**6)), json.loads(json.dumps(value)))

    def test_what_means_a_json_type_is_written_as_that(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        one = uuid.uuid4()
        values = {1: {3}, "e": Color.RED, "w": Whole.ONE, "t": now, "d": now.date(), "u": one, Color.RED: 1}
        expected = {"1": [3], "e": "red", "w": 1, "t": now.isoformat(), "d": str(now.date()), "u": str(one), "red": 1}
        self.assertEqual(json.loads(to_json(values, 10**6)), expected)
        self.assertEqual(to_json([decimal.Decimal("1.10"), decimal.Decimal("1E+2")], 99), b"[1.10,1E+2]")

    def test_what_json_cannot_hold_drops_its_event_alone_and_is_counted_by_reason(self):
        log = self.client()
        circle = {"a": {}}
        circle["a"]["b"] = circle
        deep = {}
        for _ in range(100_000):
            deep = {"deep": deep}
        strange = [circle, deep, {"n": float("nan")}, {"n": float("-inf")}, {"s": "\ud800"}, {"\udc00": 1}]
        strange += [{"o": object()}, {"n": 10**5_000}, Refuses(a=1), {(1, 2): 3}, {"b": b"bytes"}, {"d": decimal.Decimal("NaN")}]
        for data in strange:
            log.track("strange", data)
        huge = ["x" * 10**8, range(0), list(range(10**6)), {str(n): n for n in range(10**5)}]
        huge[1] = [None] * 10**6
        for value in huge:
            log.track("huge", {"value": value})
        for data in ["text", 1, [], object()]:
            log.track("no dict", data)
        for name in [None, "", 7, object(), "x" * 5_000]:
            log.track(name, {})
        for options in [{"actor": {}}, {"actor": ""}, {"subject": []}, {"occurred_at": object()}]:
            log.track("options", {}, **options)
        log.track("good", {"n": 1})
        stats = log.close()
        self.assertEqual(stats.reasons, {"not_json": len(strange), "too_large": len(huge), "invalid": 4 + 5 + 4})
        self.assertEqual(self.gateway.names(), ["good"])
        self.assertEqual(sum(notice.count for notice in self.notices), stats.dropped)
        self.assertEqual(len(self.notices), 6)
        self.assertIn('"b" contains itself', self.notices[0].message)

    def test_an_event_has_a_key_and_a_time_of_its_own_or_those_that_it_is_given(self):
        log = self.client()
        log.track("a")
        zone = datetime.timezone.utc
        log.track("a", None, actor=17, subject=uuid.UUID(int=5), occurred_at=datetime.datetime(2026, 1, 1, tzinfo=zone), idempotency_key="mine")
        log.track("a", occurred_at=datetime.datetime(2026, 1, 1))
        log.close()
        one, two, three = [event for events in self.gateway.requests for event in events]
        self.assertRegex(one["idempotencyKey"], r"^[0-9a-f]{32}$")
        self.assertLess(abs(one["occurredAt"] / 1_000 - time.time()), 60)
        self.assertEqual(two, {"name": "a", "actor": "17", "subject": str(uuid.UUID(int=5)), "occurredAt": "2026-01-01T00:00:00+00:00", "idempotencyKey": "mine"})
        self.assertIsNotNone(datetime.datetime.fromisoformat(three["occurredAt"]).tzinfo)


class Sending(Case):
    def test_what_fails_is_sent_again_with_the_same_keys(self):
        statuses = [None, 408, 429, 500, 503, 202]
        log = self.client(lambda _, times: (statuses[times - 1], {}, {"Retry-After": 0}))
        log.track("a")
        stats = log.close(60)
        self.assertEqual((stats.accepted, stats.failing_for), (1, None))
        self.assertIn("503", stats.last_error)
        keys = {events[0]["idempotencyKey"] for events in self.gateway.requests}
        self.assertEqual((len(self.gateway.requests), len(keys)), (6, 1))

    def test_a_connection_is_used_again(self):
        log = self.client(batch_events=1)
        for name in "abc":
            log.track(name)
            log.flush(60)
        self.assertEqual(log.close().accepted, 3)
        self.assertEqual(self.gateway.names(), ["a", "b", "c"])

    def test_retries_end_where_they_have_a_limit(self):
        log = self.client(lambda *_: (503, {}, {}), max_retries=2)
        log.track("a")
        self.assertEqual(log.close(60).reasons, {"retries": 1})
        self.assertEqual(len(self.gateway.requests), 3)

    def test_a_refused_event_is_dropped_alone_whether_the_gateway_says_which_or_not(self):
        for says in (True, False):

            def answer(events, _):
                found = [place for place, event in enumerate(events) if event["name"] == "bad"]
                position = {"position": found[0]} if found and says else {}
                return (400, {"error": {"message": "no", **position}}, {}) if found else None

            log = self.client(answer, linger=0.2)
            for name in ["a", "bad", "b", "c", "bad", "d"]:
                log.track(name)
            stats = log.close(60)
            self.assertEqual((stats.accepted, stats.reasons), (4, {"refused": 2}))

    def test_a_batch_that_is_too_large_is_halved_in_order(self):
        log = self.client(lambda events, _: (413, {}, {}) if len(events) > 2 else None, linger=0.2)
        for name in "abcdefg":
            log.track(name)
        self.assertEqual(log.close(60).accepted, 7)
        taken = [events for events in self.gateway.requests if len(events) <= 2]
        self.assertEqual("".join(event["name"] for events in taken for event in events), "abcdefg")

    def test_batches_keep_to_their_bounds(self):
        log = self.client(linger=60, batch_events=3, batch_bytes=1_024)
        for name in "abcdefg":
            log.track(name, {"pad": "x" * 1_000 if name == "d" else ""})
        log.close(60)
        self.assertTrue(all(len(events) <= 3 for events in self.gateway.requests))
        self.assertIn("d", self.gateway.names())
        self.assertEqual("".join(self.gateway.names()).replace(" ", ""), "abcdefg")

    def test_close_ends_within_its_time_and_says_what_may_be_in_the_log(self):
        hold = threading.Event()
        self.addCleanup(hold.set)
        log = self.client(lambda *_: hold.wait(60) and None, batch_events=2)
        for name in "abc":
            log.track(name)
        while not self.gateway.requests:
            time.sleep(0.001)
        stats = log.close(0.05)
        self.assertEqual(stats.dropped, 3)
        self.assertEqual(set(stats.reasons), {"unconfirmed", "closed"})
        log.track("late")
        self.assertEqual(log.close().dropped, 4)

    def test_answers_mean_what_the_gateway_says(self):
        statuses = [200, 202, 204, 301, 400, 401, 403, 404, 408, 413, 415, 425, 429, 500, 503]
        kinds = "later taken later denied refused denied denied denied later too_large denied later later later later"
        self.assertEqual([meaning(status, None, b"{}").kind for status in statuses], kinds.split())
        body = json.dumps({"error": {"message": "no", "position": 3}}).encode()
        self.assertEqual(meaning(403, None, body).kind, "refused")
        self.assertEqual(meaning(502, "7", b"<html>").after, 7)
        for header, wait in [(None, None), ("5", 5), ("soon", None), ("99999999", 900), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)]:
            self.assertEqual(retry_after(header), wait)
        for url in ["http://a", "http://a/", "http://a/api/track?x"]:
            self.assertEqual(track_url(url).geturl(), "http://a/api/track")


class Application(Case):
    def test_before_send_gets_a_copy_and_its_error_drops_its_event_alone(self):
        def before_send(event):
            if event["name"] == "raises":
                raise RuntimeError("no")
            if event["name"] == "dropped":
                return None
            del event["data"]["secret"]
            return {**event, "actor": "changed"}

        log = self.client(before_send=before_send, linger=0.2)
        data = {"secret": "s", "open": 1}
        for name in ["a", "raises", "dropped", "b"]:
            log.track(name, data, idempotency_key=name)
        self.assertEqual(log.close(60).reasons, {"before_send_failed": 1, "before_send": 1})
        events = [event for events in self.gateway.requests for event in events]
        sent = [(event["name"], event["data"], event["actor"], event["idempotencyKey"]) for event in events]
        self.assertEqual(sent, [("a", {"open": 1}, "changed", "a"), ("b", {"open": 1}, "changed", "b")])
        self.assertEqual(data["secret"], "s")

    def test_a_client_that_is_off_does_nothing(self):
        with mock.patch.dict(os.environ, EVENTLOG_ENABLED="0"):
            by_environment = self.client()
        for log in (by_environment, self.client(enabled=False)):
            log.track("a")
            self.assertEqual(log.track_execution("a", lambda: 1), 1)
            self.assertEqual(log.close().submitted, 0)

    def test_a_client_without_an_address_or_a_key_drops_and_says_why(self):
        for url, key in [(None, None), ("gateway", "k"), ("http://a:b@gateway", "k"), ("http://gateway", "k\n"), ("http://a:x", "k")]:
            notices = []
            log = EventLog(url, key, on_drop=notices.append)
            log.track("a")
            self.assertEqual(log.close().reasons, {"misconfigured": 1})
            self.assertEqual(len(notices), 1)

    def test_a_callback_that_raises_harms_nobody(self):
        def raises(_):
            raise RuntimeError("no")

        log = self.client(on_drop=raises)
        log.track("a", {"n": float("nan")})
        log.track("b")
        self.assertEqual(log.close(60).accepted, 1)

    def test_losses_are_logged_where_nobody_asks_for_them(self):
        log = EventLog("http://127.0.0.1:9", "key")
        with self.assertLogs("pg_eventlog", "WARNING") as said:
            log.track("a", {"n": float("nan")})
        self.assertIn("1 event dropped (not_json)", said.output[0])
        log.close(0)

    def test_signal_handlers_and_finalizers_may_log_too(self):
        log = self.client(linger=0.01, queue_events=10**6)
        # Appending is one step, as counting is not.
        others = []

        def handler(*_):
            others.append(1)
            log.track("signal")

        class Finalized:
            def __del__(self):
                others.append(1)
                log.track("finalizer")

        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        try:
            for _ in range(5_000):
                one = Finalized()
                one.self = one
                log.track("plain")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        gc.collect()
        stats = log.close(60)
        logged = 5_000 + len(others)
        self.assertEqual((stats.submitted, stats.accepted), (logged, logged))
        self.assertEqual(sum(map(len, self.gateway.requests)), logged)

    def test_threads_may_share_a_client(self):
        log = self.client(linger=0.01)

        def work(name):
            for n in range(500):
                log.track(name, {"n": n})

        threads = [threading.Thread(target=work, args=(f"t{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(log.close(60).accepted, 4_000)

    def test_a_child_of_a_fork_begins_with_nothing(self):
        log = self.client(linger=60)
        log.track("parent")
        pid = os.fork()
        if pid == 0:
            is_new = log.stats().submitted == 0
            log.track("child")
            os._exit(0 if is_new and log.close(60).accepted == 1 else 1)
        self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(log.close(60).accepted, 1)
        self.assertEqual(sorted(self.gateway.names()), ["child", "parent"])


if __name__ == "__main__":
    unittest.main()
