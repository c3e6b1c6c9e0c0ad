"""What happens to clients when their process forks or ends."""

from __future__ import annotations

import atexit
import os
import sys
import time

from ._sender import at_start, senders

#: Longest time that the end of a process waits for events to be sent, in seconds.
EXIT_LIMIT = 5.0


def send_at_exit() -> None:
    """Sends what waits, of all clients within one limit."""
    until = time.monotonic() + EXIT_LIMIT
    for sender in list(senders):
        try:
            sender.flush(max(0.0, until - time.monotonic()))
        except Exception:
            pass


def begin_in_child() -> None:
    """Leaves the parent's events to the parent."""
    for sender in list(senders):
        sender.after_fork()


_watched_pid = 0


def watch_process_of_library() -> None:
    """A child of `multiprocessing` ends without `atexit`, but with finalizers of its own."""
    global _watched_pid
    library = sys.modules.get("multiprocessing.util")
    if library is not None and _watched_pid != os.getpid():
        _watched_pid = os.getpid()
        library.Finalize(None, send_at_exit, exitpriority=10)


at_start.append(watch_process_of_library)
atexit.register(send_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=begin_in_child)
