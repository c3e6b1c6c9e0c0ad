"""The client of an application with an event loop."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from ._client import _CLOSE, _FLUSH, _Client
from ._settings import time_limit
from ._tally import Stats

Self = TypeVar("Self", bound="AsyncEventLog")


class AsyncEventLog(_Client):
    """The same as `EventLog`, with `flush` and `close` to await. Events are sent by a thread, so the
    loop is never held up, and any number of loops may share the client."""

    async def flush(self, timeout: float = _FLUSH) -> Stats:
        """Sends what waits, and waits until that has an end, or until the time is over."""
        await self._in_thread(self._sender.flush, time_limit(timeout, _FLUSH))
        return self.stats()

    async def close(self, timeout: float = _CLOSE) -> Stats:
        """Sends what waits, within the time limit, and ends the client."""
        await self._in_thread(self._sender.close, time_limit(timeout, _CLOSE))
        return self.stats()

    @staticmethod
    async def _in_thread(wait: Any, limit: float) -> None:
        await asyncio.get_running_loop().run_in_executor(None, wait, limit)

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        await self.close()
