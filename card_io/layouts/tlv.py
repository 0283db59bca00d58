"""BER-TLV as cards use it (ISO 7816-4, 5.2.2): the file control information of a SELECT, directories, records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from card_io.layouts.errors import TlvError

_DEPTH_MAX: Final = 16
_TAG_OCTETS_MAX: Final = 3
_LENGTH_OCTETS_MAX: Final = 4
_REMEDY: Final = "read the data again; if it comes back the same, the card is damaged or of another kind"


@dataclass(frozen=True, slots=True)
class Tlv:
    """One data object; a filler octet 00 between objects is kept as an object with tag 0 and no length.

    Attributes:
        tag: the tag's octets as one integer, for example 0x9F0C.
        value: the raw value; of a constructed object the encoding of its children.
        children: the objects inside a constructed object.
        length_octets: how many octets the length field takes (cards do not always use the fewest).
    """

    tag: int
    value: bytes
    children: tuple[Tlv, ...] = ()
    length_octets: int = 1

    def find(self, tag: int) -> Tlv | None:
        """The first object with this tag, this one or one inside it, depth first; None when there is none."""
        return next((each for each in self.walk() if each.tag == tag), None)

    def walk(self) -> Iterator[Tlv]:
        """This object and all inside it, depth first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def encode(self) -> bytes:
        """The octets this object was read from."""
        tag = self.tag.to_bytes((self.tag.bit_length() + 7) // 8 or 1, "big")
        return tag + _length(len(self.value), self.length_octets) + self.value


FILLER: Final = Tlv(0, b"", length_octets=0)
"""The octet 00 that may stand between objects (ISO 7816-4, 5.2.2.1)."""


def make_tlv(tag: int, *, value: bytes = b"", children: tuple[Tlv, ...] = ()) -> Tlv:
    """An object with the shortest length field; of a constructed one give the children.

    Raises:
        TlvError: for a tag that is none, a value for a constructed tag that its children do not make, or the reverse.
    """
    whole = b"".join(child.encode() for child in children) or value
    octets = next(n for n in range(1, 6) if len(whole) < (0x80 if n == 1 else 256 ** (n - 1)))
    made = Tlv(tag, whole, children, octets)
    if parse_tlv(made.encode()) != (made,):
        raise TlvError(f"tag {tag:X}", "tag and content do not fit each other", "use a constructed tag for children")
    return made


def parse_tlv(data: bytes) -> tuple[Tlv, ...]:
    """Read objects that lie one behind the other, to the last octet.

    Raises:
        TlvError: names the offset; for data that breaks off, deep nesting, long tags and indefinite lengths.
    """
    return _parse(data, 0, 0)


def _parse(data: bytes, base: int, depth: int) -> tuple[Tlv, ...]:
    if depth > _DEPTH_MAX:
        raise TlvError(f"offset {base}", f"more than {_DEPTH_MAX} objects inside each other", _REMEDY)
    objects, position = [], 0
    while position < len(data):
        if data[position] == 0:
            objects.append(FILLER)
            position += 1
            continue
        tag, after_tag = _tag(data, position, base)
        start, length = _content(data, after_tag, base)
        value = data[start : start + length]
        if len(value) < length:
            raise TlvError(
                f"offset {base + start}", f"{len(value)} of {length} octets of tag {tag:X} are there", _REMEDY
            )
        constructed = bool(data[position] & 0x20)
        children = _parse(value, base + start, depth + 1) if constructed else ()
        objects.append(Tlv(tag, value, children, start - after_tag))
        position = start + length
    return tuple(objects)


def _tag(data: bytes, position: int, base: int) -> tuple[int, int]:
    end = position + 1
    if data[position] & 0x1F == 0x1F:
        while True:
            if end >= len(data):
                raise TlvError(f"offset {base + position}", "the tag breaks off", _REMEDY)
            end += 1
            if not data[end - 1] & 0x80:
                break
            if end - position >= _TAG_OCTETS_MAX:
                raise TlvError(f"offset {base + position}", f"a tag of more than {_TAG_OCTETS_MAX} octets", _REMEDY)
    return int.from_bytes(data[position:end], "big"), end


def _content(data: bytes, position: int, base: int) -> tuple[int, int]:
    """Where the value starts and how long it is."""
    where = f"offset {base + position}"
    if position >= len(data):
        raise TlvError(where, "the length is missing", _REMEDY)
    first = data[position]
    if first < 0x80:
        return position + 1, first
    octets = first & 0x7F
    if not 1 <= octets <= _LENGTH_OCTETS_MAX:
        raise TlvError(where, f"length octet {first:02X}", _REMEDY)
    end = position + 1 + octets
    if end > len(data):
        raise TlvError(where, "the length breaks off", _REMEDY)
    return end, int.from_bytes(data[position + 1 : end], "big")


def _length(length: int, octets: int) -> bytes:
    if octets <= 1:
        return bytes([length][:octets])
    return bytes([0x80 | (octets - 1)]) + length.to_bytes(octets - 1, "big")
