"""Calls of a function as events: how long it took, and how it ended."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Optional, TypeVar

# Longest type and message of an error that are sent.
_LONGEST_TYPE = 200
_LONGEST_MESSAGE = 1_000

Function = TypeVar("Function", bound=Callable[..., Any])


def _shortened(text: str, most: int) -> str:
    """Returns a text of bounded length that can be sent."""
    return text[:most].encode(errors="replace").decode()


def _failure(error: BaseException) -> Dict[str, Any]:
    """Returns the type and the message of an error, whose own methods may raise."""
    outcome: Dict[str, Any] = {"success": False, "errorType": _shortened(type(error).__name__, _LONGEST_TYPE)}
    try:
        message = str(error)
        if message:
            outcome["errorMessage"] = _shortened(message, _LONGEST_MESSAGE)
    except Exception:
        pass
    return outcome


class Execution:
    """One call that is logged when it ends: a `with` block, or a decorator of a function."""

    def __init__(self, track: Callable[..., None], name: str, params: Any, context: Any) -> None:
        self._track = track
        self._name = name
        self._params = params
        self._context = context
        self._begin()

    def _begin(self) -> None:
        self._occurred_at = datetime.now(timezone.utc)
        self._began = time.perf_counter()

    def end(self, error: Optional[BaseException] = None) -> None:
        """Logs the end. Not even params that cannot be read are the caller's fault."""
        try:
            duration = round((time.perf_counter() - self._began) * 1_000, 3)
            outcome = {"success": True} if error is None else _failure(error)
            data = {**(self._params if isinstance(self._params, Mapping) else {}), **outcome, "durationMs": duration}
            self._track(self._name, data, **{"occurred_at": self._occurred_at, **(self._context or {})})
        except Exception:
            pass

    def call(self, fn: Callable[[], Any]) -> Any:
        """Calls a function and hands on what it returns or raises."""
        try:
            result = fn()
        except BaseException as error:
            self.end(error)
            raise
        if inspect.iscoroutine(result):
            return self._awaited(result)
        if isinstance(result, asyncio.Future):
            result.add_done_callback(self._finished)
            return result
        self.end()
        return result

    async def _awaited(self, coroutine: Any) -> Any:
        try:
            result = await coroutine
        except BaseException as error:
            self.end(error)
            raise
        self.end()
        return result

    def _finished(self, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            self.end(asyncio.CancelledError())
        else:
            # Asking for it by the public method would silence "exception was never retrieved".
            self.end(getattr(future, "_exception", None))

    def __enter__(self) -> "Execution":
        self._begin()
        return self

    def __exit__(self, kind: Any, error: Optional[BaseException], traceback: Any) -> None:
        self.end(error)

    async def __aenter__(self) -> "Execution":
        self._begin()
        return self

    async def __aexit__(self, kind: Any, error: Optional[BaseException], traceback: Any) -> None:
        self.end(error)

    def __call__(self, fn: Function) -> Function:
        """Decorates a function, each call of which is logged."""

        def again() -> "Execution":
            return Execution(self._track, self._name, self._params, self._context)

        if inspect.iscoroutinefunction(fn):

            @functools.wraps(fn)
            async def asynchronous(*args: Any, **kwargs: Any) -> Any:
                async with again():
                    return await fn(*args, **kwargs)

            return asynchronous  # type: ignore[return-value]

        @functools.wraps(fn)
        def synchronous(*args: Any, **kwargs: Any) -> Any:
            return again().call(lambda: fn(*args, **kwargs))

        return synchronous  # type: ignore[return-value]
