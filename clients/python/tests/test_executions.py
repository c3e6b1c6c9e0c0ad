"""track_execution hands on what it runs; run as test_client.py says."""

import asyncio
import unittest
from unittest import mock

from gateway import Case, Refuses

from pg_eventlog import AsyncEventLog


class Executions(Case):
    def sent(self, log):
        log.close(60)
        return [event for events in self.gateway.requests for event in events]

    def test_results_and_errors_are_handed_on_as_they_are(self):
        log = self.client()
        generator = (n for n in [1])
        for value in [None, 0, {}, generator, object(), range(3)]:
            self.assertIs(log.track_execution("a", lambda value=value: value), value)
        self.assertEqual(list(generator), [1])

        class Strange(Exception):
            def __str__(self):
                raise RuntimeError("no")

        for error in [ValueError("no"), Strange(), KeyboardInterrupt(), SystemExit(1), ValueError("\ud800" + "long" * 1_000)]:
            with self.assertRaises(type(error)) as raised:
                log.track_execution("a", mock.Mock(side_effect=error))
            self.assertIs(raised.exception, error)
        self.assertEqual(log.track_execution("a", lambda: 1, Refuses(a=1)), 1)
        self.assertEqual(log.track_execution("a", lambda: 1, {"o": object()}, {"nonsense": 1}), 1)
        events = self.sent(log)
        self.assertEqual([event["data"]["success"] for event in events], [True] * 6 + [False] * 5 + [True])
        self.assertEqual(events[6]["data"]["errorType"], "ValueError")
        self.assertEqual(len(events[10]["data"]["errorMessage"]), 1_000)

    def test_coroutines_futures_blocks_and_decorators_are_logged_when_they_end(self):
        async def main():
            log = self.client(kind=AsyncEventLog)

            async def add(a, b):
                await asyncio.sleep(0)
                return a + b

            async def fails():
                raise error

            error = LookupError("no")
            self.assertEqual(await log.track_execution("a", lambda: add(1, 2)), 3)
            task = asyncio.ensure_future(add(1, 2))
            self.assertIs(log.track_execution("a", lambda: task), task)
            self.assertEqual(await task, 3)
            with self.assertRaises(LookupError) as raised:
                await log.track_execution("a", fails)
            self.assertIs(raised.exception, error)
            decorated = log.track_execution("a", params={"skillName": "add"})(add)
            self.assertTrue(asyncio.iscoroutinefunction(decorated))
            self.assertEqual(await decorated(1, b=2), 3)
            self.assertEqual(log.track_execution("a")(lambda a: a)(5), 5)
            with log.track_execution("a"):
                pass
            with self.assertRaises(LookupError):
                async with log.track_execution("a"):
                    raise error
            await log.close(60)

        asyncio.run(main())
        data = [event["data"] for events in self.gateway.requests for event in events]
        self.assertEqual([one["success"] for one in data], [True, True, False, True, True, True, False])
        self.assertEqual(data[3]["skillName"], "add")


if __name__ == "__main__":
    unittest.main()
