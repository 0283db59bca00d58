"""The capture journal: what a terminal did, append-only, on disk before the gate opens.

One file. An entry is

    mark 4 | body length u32 | sequence u64 | wall time i64 (ns since 1970) | previous digest 32 | body | digest 32

all big endian; the body is canonical JSON in ASCII, the digest SHA-256 of everything before it in the entry, and
each entry names the digest of the one before it. The sequence alone orders entries; the wall time is only recorded,
so a clock that jumps changes nothing.

Room is allocated ahead and reads as zeros. An entry that begins a transaction is only taken when there is room for
its outcome too, so a full disk is met before money moves. Every entry is on disk before the next one is written:
power loss can tear the last one and no other. What stands behind the last whole entry is therefore a torn tail only
if it fits one entry and no other entry begins in it; the tail is kept beside the journal, cut and noted in it.
Anything else is a break, which is never repaired.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from card_io.capture.errors import JournalBrokenError, JournalBusyError, JournalFailedError, JournalFullError
from card_io.durable import fsync_folder, write_durably

MARK: Final = b"\xf5CJ\xf5"
"""Begins every entry; its bytes cannot occur in a body, which is ASCII."""

HEADER: Final = struct.Struct(">4sIQq32s")
DIGEST_BYTES: Final = 32
MAX_BODY_BYTES: Final = 1 << 16
MAX_ENTRY_BYTES: Final = HEADER.size + MAX_BODY_BYTES + DIGEST_BYTES

OUTCOME_ROOM: Final = MAX_ENTRY_BYTES
"""Bytes kept free behind an entry that begins a transaction."""

ROOM_STEP: Final = 4 * MAX_ENTRY_BYTES
"""Bytes allocated at a time."""

_NO_DIGEST: Final = bytes(DIGEST_BYTES)
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_RESTORE: Final = "keep the file as it is, take the terminal out of service and have a person compare it with backups"

Clock = Callable[[], int]
"""Nanoseconds of wall time since 1970-01-01."""

_ZONE_OFFSET_NS: Final = 8 * 3600 * 10**9


def wall_clock_ns() -> int:
    """Now, in nanoseconds of wall time (Asia/Shanghai has no daylight saving since 1991)."""
    return time.time_ns() + _ZONE_OFFSET_NS


@dataclass(frozen=True, slots=True)
class Entry:
    """One whole entry; ``offset`` is where it begins in the file."""

    sequence: int
    wall_ns: int
    body: dict[str, Any]
    digest: bytes
    offset: int

    @property
    def kind(self) -> str:
        """What the entry says happened."""
        return str(self.body["kind"])


@dataclass(frozen=True, slots=True)
class TornTail:
    """What was cut: bytes from ``offset`` on, kept in the file ``kept``."""

    offset: int
    size: int
    kept: Path


class Journal:
    """An opened journal; one process at a time, held by ``flock``."""

    def __init__(self, path: Path, descriptor: int, clock: Clock) -> None:
        """Use :meth:`open`."""
        self.path = path
        self.entries: list[Entry] = []
        self.torn: TornTail | None = None
        self._descriptor = descriptor
        self._clock = clock
        self._end = self._room = 0
        self._failed = False

    @classmethod
    def open(cls, path: Path, *, clock: Clock = wall_clock_ns) -> Journal:
        """Open the journal at ``path``, made empty when there is none; a torn tail is cut and noted.

        Raises:
            JournalBusyError: another process holds it.
            JournalBrokenError: it is broken in its middle.
            JournalFullError: no room to note that the tail was cut.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        journal = cls(path, descriptor, clock)
        try:
            journal._lock()
            journal._read()
            if not journal.entries:
                fsync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return journal

    def close(self) -> None:
        """Let go of the file; nothing is written."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, kind: str, body: Mapping[str, Any], *, begins: bool = False) -> Entry:
        """Write one entry and return once it is on disk.

        Args:
            kind: what happened.
            body: JSON values without "kind".
            begins: the entry begins a transaction: refuse it unless its outcome has room as well.

        Raises:
            JournalFullError: no room; nothing was written and the journal goes on.
            JournalFailedError: the disk failed; open the journal again.
        """
        if self._failed or self._descriptor < 0:
            raise JournalFailedError(f"{self.path}: an earlier write failed", "open the journal again")
        sequence = self.entries[-1].sequence + 1 if self.entries else 1
        previous = self.entries[-1].digest if self.entries else _NO_DIGEST
        content = {**body, "kind": kind}
        raw = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")
        if len(raw) > MAX_BODY_BYTES:
            raise JournalFullError(
                f"{self.path}: an entry of {len(raw)} bytes is longer than {MAX_BODY_BYTES}", "split the transaction"
            )
        wall_ns = self._clock()
        signed = HEADER.pack(MARK, len(raw), sequence, wall_ns, previous) + raw
        digest = hashlib.sha256(signed).digest()
        self._make_room(len(signed) + DIGEST_BYTES + (OUTCOME_ROOM if begins else 0))
        self._write(signed + digest)
        entry = Entry(sequence, wall_ns, content, digest, self._end)
        self._end += len(signed) + DIGEST_BYTES
        self.entries.append(entry)
        return entry

    def clock_jumps(self) -> list[tuple[int, int]]:
        """(sequence, nanoseconds) of entries whose wall time lies before that of the entry before them."""
        pairs = zip(self.entries, self.entries[1:], strict=False)
        return [(b.sequence, a.wall_ns - b.wall_ns) for a, b in pairs if b.wall_ns < a.wall_ns]

    def _lock(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalBusyError(f"{self.path} is in use by another process", "end that one first") from None

    def _read(self) -> None:
        content = memoryview(_whole(self._descriptor))
        self._room = len(content)
        while (entry := self._next(content)) is not None:
            self.entries.append(entry)
        rest = bytes(content[self._end :]).rstrip(b"\0")
        if rest:
            self._judge(rest)
            self._cut(rest)

    def _next(self, content: memoryview) -> Entry | None:
        """The entry at the end of what was read; None where no whole entry stands."""
        at = self._end
        if len(content) < at + HEADER.size:
            return None
        mark, length, sequence, wall_ns, previous = HEADER.unpack_from(content, at)
        body_end = at + HEADER.size + length
        if mark != MARK or length > MAX_BODY_BYTES or len(content) < body_end + DIGEST_BYTES:
            return None
        digest = hashlib.sha256(content[at:body_end]).digest()
        if digest != content[body_end : body_end + DIGEST_BYTES]:
            return None
        last = self.entries[-1] if self.entries else None
        if sequence != (last.sequence + 1 if last else 1) or previous != (last.digest if last else _NO_DIGEST):
            raise JournalBrokenError(
                f"{self.path}: the entry at byte {at} (number {sequence}) does not follow the one before it", _RESTORE
            )
        self._end = body_end + DIGEST_BYTES
        return Entry(sequence, wall_ns, json.loads(bytes(content[at + HEADER.size : body_end])), digest, at)

    def _judge(self, rest: bytes) -> None:
        """Refuse what stands behind the last whole entry unless one torn write explains it."""
        number = len(self.entries) + 1
        if len(rest) > MAX_ENTRY_BYTES or rest.find(MARK, 1) >= 0:
            raise JournalBrokenError(
                f"{self.path}: entry {number} at byte {self._end} is damaged and more stands behind it", _RESTORE
            )

    def _cut(self, rest: bytes) -> None:
        kept = self.path.with_name(f"{self.path.name}.torn-{len(self.entries) + 1:08d}")
        try:
            write_durably(kept, rest)
            os.ftruncate(self._descriptor, self._end)
            os.fsync(self._descriptor)
        except OSError as error:
            raise _failure(self.path, error) from error
        self.torn = TornTail(self._end, len(rest), kept)
        self._room = self._end
        note = {"offset": self._end, "bytes": len(rest), "sha256": hashlib.sha256(rest).hexdigest()}
        self.append("torn_tail", {**note, "file": kept.name})

    def _make_room(self, needed: int) -> None:
        missing = self._end + needed - self._room
        if missing <= 0:
            return
        try:
            os.posix_fallocate(self._descriptor, self._room, max(missing, ROOM_STEP))
        except OSError:
            # A nearly full disk may still hold what is needed, if not a whole step.
            try:
                os.posix_fallocate(self._descriptor, self._room, missing)
            except OSError as error:
                # Half an allocation may have grown the file: it reads as zeros and is not counted on.
                raise _failure(self.path, error) from error
        self._room = os.fstat(self._descriptor).st_size

    def _write(self, data: bytes) -> None:
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], self._end + done)
            os.fdatasync(self._descriptor)
        except OSError as error:
            # After a failed fsync nobody knows what the disk holds: only a fresh look can tell.
            self._failed = True
            raise JournalFailedError(
                f"{self.path}: writing entry {len(self.entries) + 1} failed ({error.strerror})",
                "check the disk and open the journal again",
            ) from error


def _failure(path: Path, error: OSError) -> JournalFullError | JournalFailedError:
    if error.errno in _FULL:
        return JournalFullError(f"{path}: no room left ({error.strerror})", "make room before the next transaction")
    return JournalFailedError(f"{path}: {error.strerror}", "check the disk and open the journal again")


def _whole(descriptor: int) -> bytes:
    size, parts, position = os.fstat(descriptor).st_size, [], 0
    while position < size and (part := os.pread(descriptor, size - position, position)):
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def read_entries(path: Path) -> list[Entry]:
    """The whole entries of a journal that may be in use: nothing is locked, cut or written.

    Raises:
        JournalBrokenError: it is broken in its middle.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with contextlib.closing(Journal(path, descriptor, wall_clock_ns)) as journal:
        content = memoryview(_whole(descriptor))
        while (entry := journal._next(content)) is not None:
            journal.entries.append(entry)
        if rest := bytes(content[journal._end :]).rstrip(b"\0"):
            journal._judge(rest)
        return journal.entries
