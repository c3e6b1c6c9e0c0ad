"""One request to the gateway, and what its answer means. Nothing in here raises."""

from __future__ import annotations

import email.utils
import gzip
import http.client
import json
import socket
import time
from typing import Any, List, NamedTuple, Optional, Sequence, Union
from urllib.parse import SplitResult, urlsplit

from ._event import Item

# A smaller body is sent as it is.
_GZIP_FROM_BYTES = 1_024

# Longest answer that is read: verdicts of 1,000 events are a tenth of it.
_LONGEST_ANSWER = 4 << 20

# Longest wait that a Retry-After may ask for, in seconds.
_LONGEST_WAIT = 15 * 60.0

# Statuses that say: the same later.
_LATER = (408, 425, 429)


class Answer(NamedTuple):
    """What an answer means for the events of its request."""

    #: taken, refused (one event of them), too_large, denied (by the key or the address) or later.
    kind: str
    message: str = ""
    #: Of each event, if the gateway waited for the log.
    verdicts: Optional[List[Any]] = None
    #: The refused event, if the gateway says which.
    position: Optional[int] = None
    #: Seconds that it asks to wait.
    after: Optional[float] = None


def track_url(url: object) -> SplitResult:
    """Returns the address of `/api/track` below an address of the gateway; raises ValueError."""
    address = urlsplit(str(url))
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError("the url must begin with http:// or https://")
    if address.username is not None:
        raise ValueError("the url must not have a user or a password")
    address.port  # raises if it is no number
    path = address.path.rstrip("/")
    return address._replace(path=path if path.endswith("/api/track") else path + "/api/track", query="", fragment="")


def retry_after(header: Optional[str]) -> Optional[float]:
    """Returns the seconds of a Retry-After header, a number or a date; None without one."""
    if not header:
        return None
    try:
        if header.strip().isdigit():
            wait = float(header)
        else:
            wait = email.utils.parsedate_to_datetime(header).timestamp() - time.time()
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), _LONGEST_WAIT)


def meaning(status: int, header: Optional[str], body: bytes) -> Answer:
    """Returns what an answer means."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    error = said.get("error") if isinstance(said, dict) else None
    error = error if isinstance(error, dict) else {}
    text = error.get("message")
    message = f"{status}: {text}" if isinstance(text, str) else f"the gateway answered {status}"
    if status == 202:
        return Answer("taken")
    if status == 200 and isinstance(said, dict) and isinstance(said.get("verdicts"), list):
        return Answer("taken", verdicts=said["verdicts"])
    if status == 413:
        return Answer("too_large", message)
    if status in _LATER or status >= 500:
        return Answer("later", message, after=retry_after(header))
    if 200 <= status < 300:
        return Answer("later", f"not the gateway's answer: {status}")
    position = error.get("position")
    position = position if type(position) is int else None
    if status == 400 or (status == 403 and position is not None):
        return Answer("refused", message, position=position)
    if 300 <= status < 400:
        message = "the url leads to another address: give that one"
    return Answer("denied", message)


class Transport:
    """Sends batches to one gateway, over one connection. Only `abort` is for other threads."""

    def __init__(self, address: SplitResult, key: str, timeout: float, confirm: bool, compress: bool) -> None:
        self._address = address
        self._path = address.path + ("?wait=true" if confirm else "")
        self._key = key
        self._timeout = timeout
        self._compress = compress
        self._connection: Optional[http.client.HTTPConnection] = None

    def send(self, items: Sequence[Item]) -> Answer:
        """Sends events; returns what the answer means."""
        try:
            body = b"[" + b",".join([item.json for item in items]) + b"]"
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
            if self._compress and len(body) >= _GZIP_FROM_BYTES:
                body = gzip.compress(body, 5)
                headers["Content-Encoding"] = "gzip"
            return self._ask(body, headers)
        except Exception as error:
            self.disconnect()
            reason = str(error) or type(error).__name__
            return Answer("later", f"the gateway cannot be reached: {reason}")

    def _ask(self, body: bytes, headers: "dict[str, str]") -> Answer:
        until = time.monotonic() + self._timeout
        while True:
            is_reused = self._connection is not None
            connection = self._connection or self._connect()
            if connection.sock is not None:
                connection.sock.settimeout(self._timeout)
            try:
                connection.request("POST", self._path, body, headers)
                response = connection.getresponse()
                break
            except (http.client.RemoteDisconnected, ConnectionError):
                # The gateway closes connections that were idle.
                self.disconnect()
                if not is_reused:
                    raise
        text = self._read(connection, response, until)
        if response.will_close:
            self.disconnect()
        return meaning(response.status, response.headers.get("Retry-After"), text)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
        connection = kind(host, port, timeout=self._timeout)
        connection.connect()
        if connection.sock is not None:
            connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        return connection

    @staticmethod
    def _read(connection: http.client.HTTPConnection, response: http.client.HTTPResponse, until: float) -> bytes:
        parts: List[bytes] = []
        size = 0
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            if connection.sock is not None:
                connection.sock.settimeout(left)
            part = response.read1(1 << 16)
            if not part:
                break
            parts.append(part)
            size += len(part)
            if size > _LONGEST_ANSWER:
                raise ValueError("the answer is too long")
        # Read to its end, it is not closed yet, and the connection would not take another request.
        response.close()
        return b"".join(parts)

    def disconnect(self) -> None:
        """Closes the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except Exception:
                pass

    def abort(self) -> None:
        """Ends what is under way, from another thread."""
        connection = self._connection
        sock: Union[socket.socket, None] = connection.sock if connection is not None else None
        try:
            if sock is not None:
                sock.shutdown(socket.SHUT_RDWR)
        except Exception:
            pass

    def forget(self) -> None:
        """Leaves the connection to the process that has it, after a fork."""
        self._connection = None
