"""The protobuf wire format, read with bounds. Knows fields, and no meaning.

Strict where protobuf is lenient: a field that the caller does not list is refused, not
skipped, so that no other reader can find in a file what was not looked at here.
https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

_T = TypeVar("_T")

VARINT, BYTES = 0, 2
_FIELDS_LIMIT = 200_000  # a legitimate graph of 400 nodes has about 10,000


class Malformed(ValueError):
    """The bytes are not the message they should be."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A kind of message: its fields' names and wire types by number.

    ``refused`` names well-known fields that may not occur, for the sake of the error.
    """

    kind: str
    fields: Mapping[int, tuple[str, int]]
    refused: Mapping[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Reader:
    """Reads messages; counts fields over all of them, so that no file keeps it busy for long."""

    left: int = _FIELDS_LIMIT

    def read(self, view: memoryview, schema: Schema) -> Message:
        """Read one message.

        Raises:
            Malformed: cut short, a field not in the schema, or too many fields.
        """
        message = Message(schema.kind)
        at = 0
        while at < len(view):
            self.left -= 1
            if self.left < 0:
                raise Malformed(f"it has more than {_FIELDS_LIMIT} fields")
            key, at = _varint(view, at)
            number, wire = key >> 3, key & 7
            name, expected = schema.fields.get(number, ("", -1))
            if wire != expected:
                what = schema.refused.get(number, f"an unexpected field {number}")
                raise Malformed(f"its {schema.kind} holds {what}")
            value, at = _varint(view, at)
            if wire == VARINT:
                message.numbers.setdefault(name, []).append(_signed(value))
                continue
            if value > len(view) - at:
                raise Malformed(f"its {schema.kind} is cut short")
            message.parts.setdefault(name, []).append(view[at : at + value])
            at += value
        return message


@dataclass(slots=True)
class Message:
    """The values of one message by field name: whole numbers and parts of bytes."""

    kind: str
    numbers: dict[str, list[int]] = field(default_factory=dict)
    parts: dict[str, list[memoryview]] = field(default_factory=dict)

    def number(self, name: str, default: int = 0) -> int:
        """The value of a field that may occur once."""
        return self._once(name, self.numbers.get(name, [default]))

    def part(self, name: str) -> memoryview:
        """The bytes of a field that may occur once, empty where it does not."""
        return self._once(name, self.parts.get(name, [memoryview(b"")]))

    def text(self, name: str) -> str:
        """The text of a field that may occur once, empty where it does not."""
        return _text(self.part(name))

    def texts(self, name: str) -> tuple[str, ...]:
        """All values of a repeated text field."""
        return tuple(_text(part) for part in self.parts.get(name, []))

    def _once(self, name: str, values: list[_T]) -> _T:
        if len(values) != 1:
            raise Malformed(f"its {self.kind} holds {name} {len(values)} times")
        return values[0]


def _text(part: memoryview) -> str:
    try:
        return str(part, "utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("a name in it is not UTF-8") from error


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(view):
            raise Malformed("it is cut short")
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
    raise Malformed("a number in it is longer than 64 bits")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
