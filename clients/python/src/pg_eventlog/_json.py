"""JSON of what an application gives, within bounds: no cycle, object or size of it can raise past here."""

from __future__ import annotations

import datetime
import decimal
import enum
import math
import operator
import uuid
from collections.abc import Mapping
from json.encoder import encode_basestring as _quoted
from typing import Any, List

# The gateway reads 100 levels, three of which are around the data.
_MAX_DEPTH = 90

# Python refuses to write longer numbers, and needs long for them.
_MAX_BITS = 10_000


class Unfit(Exception):
    """Why an event cannot be sent. Raised and caught in this package only."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def to_json(value: Any, limit: int) -> bytes:
    """Returns a value as JSON in UTF-8, or raises `Unfit`: for a cycle, an object that is no JSON, NaN,
    an infinite number, half of a character, or more than `limit` bytes. It stops at the limit, however
    large the value is."""
    writer = _Writer(limit)
    try:
        writer.write(value)
        text = "".join(writer.out).encode()
    except Unfit:
        raise
    except UnicodeEncodeError:
        raise Unfit("not_json", "it has half of a character (a lone surrogate)") from None
    except RecursionError:
        raise writer.not_json("nests too deep") from None
    except Exception:
        raise writer.not_json("cannot be read") from None
    if len(text) > limit:
        raise Unfit("too_large", f"it has {len(text)} bytes: limit {limit}")
    return text


class _Writer:
    __slots__ = ("above", "key", "left", "limit", "out")

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit
        self.key = ""
        self.above: List[int] = []
        self.out: List[str] = []

    def not_json(self, what: str) -> Unfit:
        key = f'key "{self.key[:100]}"' if self.key else "it"
        return Unfit("not_json", f"{key} {what}")

    def spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise Unfit("too_large", f"it is too large: limit {self.limit} bytes")

    def write(self, value: Any) -> None:
        kind = type(value)
        if kind is str:
            self.text(value)
        elif value is None:
            self.plain("null")
        elif kind is bool:
            self.plain("true" if value else "false")
        elif kind is int:
            self.integer(value)
        elif kind is float:
            self.real(value)
        elif kind is dict:
            self.mapping(value)
        elif kind is list or kind is tuple:
            self.sequence(value)
        else:
            self.other(value)

    def other(self, value: Any) -> None:
        """Writes what is not of JSON's own types, but means one of them."""
        if isinstance(value, enum.Enum):
            self.write(value.value)
        elif isinstance(value, str):
            self.text(str.__str__(value))
        elif isinstance(value, int):
            self.integer(int(value))
        elif isinstance(value, float):
            self.real(float(value))
        elif isinstance(value, Mapping):
            self.mapping(value)
        elif isinstance(value, (list, tuple, set, frozenset)):
            self.sequence(value)
        elif isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
            self.text(value.isoformat())
        elif isinstance(value, uuid.UUID):
            self.text(str(value))
        elif isinstance(value, decimal.Decimal):
            if not value.is_finite():
                raise self.not_json("is not a finite number")
            self.plain(str(value) if value.adjusted() < 400 else f"{value:e}")
        elif hasattr(value, "__index__"):
            self.integer(operator.index(value))
        else:
            raise self.not_json(f"is of type {type(value).__name__[:100]}, which JSON has not")

    def plain(self, text: str) -> None:
        self.spend(len(text))
        self.out.append(text)

    def integer(self, value: int) -> None:
        if value.bit_length() > _MAX_BITS:
            raise self.not_json("is a number of too many digits")
        self.plain(int.__repr__(value))

    def real(self, value: float) -> None:
        if not math.isfinite(value):
            raise self.not_json("is not a finite number")
        self.plain(float.__repr__(value))

    def text(self, value: str) -> None:
        self.spend(len(value) + 2)
        self.out.append(_quoted(value))

    def enter(self, value: Any) -> None:
        if id(value) in self.above:
            raise self.not_json("contains itself")
        if len(self.above) >= _MAX_DEPTH:
            raise self.not_json("nests too deep")
        self.above.append(id(value))

    def mapping(self, value: Any) -> None:
        self.enter(value)
        sign = "{"
        for key, member in value.items():
            if type(key) is not str:
                key = self.key_of(key)
            self.key = key
            self.spend(1)
            self.out.append(sign)
            self.text(key)
            self.out.append(":")
            self.write(member)
            sign = ","
        self.plain("{}" if sign == "{" else "}")
        self.above.pop()

    def key_of(self, key: Any) -> str:
        if isinstance(key, enum.Enum):
            key = key.value
        if isinstance(key, str):
            return str.__str__(key)
        if isinstance(key, int) and not isinstance(key, bool) and key.bit_length() <= _MAX_BITS:
            return int.__repr__(key)
        raise self.not_json(f"has a key of type {type(key).__name__[:100]}")

    def sequence(self, value: Any) -> None:
        self.enter(value)
        sign = "["
        for item in value:
            self.spend(1)
            self.out.append(sign)
            self.write(item)
            sign = ","
        self.plain("[]" if sign == "[" else "]")
        self.above.pop()
