"""What is fuzzed: one function per decoder, and what it may raise. Anything else is a finding.

A function takes any bytes, decodes them, and checks what must hold of everything that was decoded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from card_io.capture.errors import CaptureError
from card_io.capture.journal import Journal, read_entries
from card_io.delivery.errors import DeliveryError, ProfileError
from card_io.delivery.fixed_width import read_fixed_width
from card_io.delivery.jtt978_frame import read_frame, write_frame
from card_io.delivery.jtt978_records import RECORDS, read_records
from card_io.delivery.profile import FixedWidth, Profile, load_profile
from card_io.layouts import LAYOUTS, LayoutError, directory_entries, parse_tlv, read_fci, status_word
from card_io.layouts.japan_ic import HistoryBlock
from card_io.readers.exchange import Exchange


@dataclass(frozen=True)
class Decoder:
    """One harness: the function, and inputs to start from."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def _folder() -> Path:
    """A folder of this process for decoders that read files; it lies in memory where the system has such a place."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="fuzz-", dir=memory if memory.is_dir() else None))


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def layouts(data: bytes) -> None:
    """The first byte names a layout, the rest is decoded: encoding undoes it."""
    if not data:
        return
    layout = LAYOUTS[data[0] % len(LAYOUTS)]
    with suppress(LayoutError):
        decoded = layout.decode(data[1:])
        assert decoded.encode() == data[1:]
        if isinstance(decoded, HistoryBlock):
            with suppress(LayoutError):
                decoded.day()
    with suppress(LayoutError):
        layout.columns(data[1:])


def tlv(data: bytes) -> None:
    """TLV data, an answer to SELECT, a payment directory, a status word."""
    with suppress(LayoutError):
        objects = parse_tlv(data)
        assert b"".join(each.encode() for each in objects) == data
    with suppress(LayoutError):
        read_fci(data)
    with suppress(LayoutError):
        directory_entries(data)
    status_word(int.from_bytes(data[:2], "big"))


def jtt978(data: bytes) -> None:
    """A JT/T 978.4 file as each kind of record: every line ends as a row or as a fault."""
    with suppress(DeliveryError):
        frame = read_frame(data, "fuzz")
        assert read_frame(write_frame(frame.header, frame.records), "fuzz") == frame
        for record in RECORDS.values():
            with suppress(DeliveryError):
                reading = read_records(data, "fuzz", record)
                assert len(reading.rows) + len(reading.faults) == len(frame.records)
                assert all(fault.remedy and fault.field and fault.line >= 3 for fault in reading.faults)


@cache
def _profiles() -> list[Profile]:
    return [load_profile(name) for name in ("jtt978-cd", "jtt978-cl", "jtt978-cl-unverified")]


def deliveries(data: bytes) -> None:
    """The first byte names a fixed-width profile, the rest is a delivery: no row is lost."""
    if not data:
        return
    profile = _profiles()[data[0] % len(_profiles())]
    assert isinstance(profile.layout, FixedWidth)
    path = _file("delivery.txt", data[1:])
    with suppress(DeliveryError):
        records = len(read_frame(data[1:], "fuzz").records)
        found = [
            len(block) + len(unreadable) for block, unreadable in read_fixed_width(path, profile, profile.layout)
        ]
        assert sum(found) == records


def profiles(data: bytes) -> None:
    """A profile in YAML."""
    _file("fuzz.yaml", data)
    with suppress(ProfileError):
        load_profile("fuzz", (_folder(),))


def capture_journal(data: bytes) -> None:
    """A capture journal: reading says what opening says, and opening twice is opening once."""
    path = _file("journal", data)
    try:
        read = read_entries(path)
    except CaptureError:
        read = None
    try:
        with Journal.open(path) as journal:
            entries = list(journal.entries)
    except CaptureError:
        assert read is None
    else:
        assert read is not None
        assert entries[: len(read)] == read
        with Journal.open(path) as again:
            assert again.entries == entries
            assert again.torn is None
    for kept in _folder().glob("journal.torn-*"):
        kept.unlink()


def exchanges(data: bytes) -> None:
    """A recorded dialogue."""
    with suppress(ValueError):
        assert Exchange.from_bytes(data).to_bytes() == data


def _layout_seeds() -> list[bytes]:
    return [
        bytes([number]) + bytes.fromhex(vector.hex)
        for number, layout in enumerate(LAYOUTS)
        for vector in layout.VECTORS
    ]


def _tlv_seeds() -> list[bytes]:
    fci = "6F318408A000000632010105A5259F0801029F0C1E01011000FFFFFFFF02010310517005678901234520190806204012310000"
    ppse = (
        "6F49840E325041592E5359532E4444463031A537BF0C3461194F08A000000632010106500A4D4F545F545F4341534887010161174F08"
    )
    return [bytes.fromhex(fci), bytes.fromhex(ppse + "A00000063201010550084D4F545F545F4550870102")]


def _lines(length: int, tail: str = "") -> bytes:
    head = f"000001{'20260302'}{'10':<11}{length:04d}{'F' * 20}"
    return f"01\n{head}\n{'0' * length}{tail}\n".encode()


def _jtt978_seeds() -> list[bytes]:
    # Found by fuzzing: a line whose end was converted twice.
    return [*(_lines(record.length) for record in RECORDS.values()), _lines(3, "\r\r")]


def _delivery_seeds() -> list[bytes]:
    tails = (
        "800101" + "8101008201028B0100",
        "8006000000C900018101648208310477000000000183010184010185" + "0401020304",
        "",
    )
    found = []
    for number, (profile, tail) in enumerate(zip(_profiles(), tails, strict=True)):
        assert isinstance(profile.layout, FixedWidth)
        found.append(bytes([number]) + _lines(profile.layout.record_lengths[0], tail))
    return found


def _profile_seeds() -> list[bytes]:
    from card_io.delivery.profile import PACKAGED

    # Found by fuzzing: a base that is a path.
    return [*(path.read_bytes() for path in sorted(PACKAGED.glob("*.yaml"))), b"base: //szt-records\n"]


def _journal_seeds() -> list[bytes]:
    path = _folder() / "seed"
    with Journal.open(path, clock=lambda: 1) as journal:
        journal.append("note", {"what": "one"})
        journal.append("note", {"what": "two"})
    # The room behind the entries reads as zeros: a seed of a quarter of a megabyte would only slow the fuzzer down.
    whole = path.read_bytes().rstrip(b"\0")
    path.unlink()
    return [whole, whole[:-7], whole + bytes(64)]


def _exchange_seeds() -> list[bytes]:
    from card_io.readers.exchange import Step

    return [Exchange((Step(bytes.fromhex("805C000204"), bytes.fromhex("000000009000")),)).to_bytes()]


DECODERS = {
    "layouts": Decoder(layouts, _layout_seeds),
    "tlv": Decoder(tlv, _tlv_seeds),
    "jtt978": Decoder(jtt978, _jtt978_seeds),
    "deliveries": Decoder(deliveries, _delivery_seeds),
    "profiles": Decoder(profiles, _profile_seeds),
    "capture_journal": Decoder(capture_journal, _journal_seeds),
    "exchanges": Decoder(exchanges, _exchange_seeds),
}
