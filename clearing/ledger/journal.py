"""The sealed journal: one signed, chained JSON file per entry (DESIGN §8).

Entry n is ``journal/<n as 8 digits>.json``: one line of canonical JSON with the SHA-256 of entry n−1's bytes and an
Ed25519 signature by the centre's key. Appending is the commit point of everything it points to.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from card_io.keys.errors import SignatureError
from card_io.keys.signature import SigningKey, VerifyKey
from clearing import __version__
from clearing.durable import write_durably
from clearing.errors import EvidenceError

GENESIS: Final = "0" * 64
"""What the first entry names as its predecessor."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal entry. ``body`` depends on ``kind``: intake, batch, close, approval, order, bank, unmask."""

    sequence: int
    kind: str
    at: int
    engine: str
    previous: str
    body: dict[str, Any]
    signature: str = ""

    def signing_bytes(self) -> bytes:
        """The canonical bytes the centre signs: everything but the signature."""
        return _canonical({name: getattr(self, name) for name in _SIGNED})

    def to_bytes(self) -> bytes:
        """The bytes of the entry's file."""
        return _canonical({name: getattr(self, name) for name in (*_SIGNED, "signature")}) + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 hex of the entry's file: what the next entry names."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


_SIGNED: Final = ("sequence", "kind", "at", "engine", "previous", "body")


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


class Journal:
    """The journal of one centre, read on opening; appended by the one writer only."""

    def __init__(self, folder: Path, *, again: bool = False) -> None:
        """Read all entries.

        Args:
            folder: of the journal.
            again: entries that this process read before, and whose files have not been touched since, are not read
                again. An audit reads everything.

        Raises:
            EvidenceError: a gap, a foreign file name or an unreadable entry (a torn tail cannot exist: entries
                appear whole, by rename).
        """
        self.folder = folder
        known = _read_before.pop(folder, []) if again else []
        seen = [(file, known[at] if at < len(known) else None) for at, file in enumerate(_files(folder))]
        found = [
            before if before is not None and before[0] == file else (file, _read(folder / file.name, number))
            for number, (file, before) in enumerate(seen, 1)
        ]
        self.entries: list[Entry] = [entry for _, entry in found]
        if again:
            _read_before[folder] = found
            while len(_read_before) > _FOLDERS_KEPT:
                del _read_before[next(iter(_read_before))]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def of_kind(self, kind: str) -> Iterator[Entry]:
        """Entries of one kind in order."""
        return (entry for entry in self.entries if entry.kind == kind)

    def append(self, kind: str, body: dict[str, Any], *, at: int, key: SigningKey) -> Entry:
        """Sign and append one entry; when this returns, the entry is on disk (the commit point)."""
        previous = self.entries[-1].digest if self.entries else GENESIS
        unsigned = Entry(len(self.entries) + 1, kind, at, __version__, previous, body)
        signature = key.sign(unsigned.signing_bytes()).hex()
        entry = Entry(unsigned.sequence, kind, at, __version__, previous, body, signature)
        write_durably(self.folder / _name(entry.sequence), entry.to_bytes())
        self.entries.append(entry)
        return entry

    def check_chain(self, key: VerifyKey, report: Callable[[str, str], None]) -> None:
        """Report every break of chain, signature or canonical form as (where, what)."""
        previous = GENESIS
        for entry in self.entries:
            where = f"journal/{_name(entry.sequence)}"
            stored = (self.folder / _name(entry.sequence)).read_bytes()
            if stored != entry.to_bytes():
                report(where, "the bytes are not the canonical form of the entry")
            if entry.previous != previous:
                report(where, "does not follow the entry before it: an entry was changed, removed or inserted")
            try:
                key.verify(bytes.fromhex(entry.signature), entry.signing_bytes())
            except (SignatureError, ValueError):
                report(where, "the centre's signature does not fit the content")
            previous = hashlib.sha256(stored).hexdigest()


def _name(sequence: int) -> str:
    return f"{sequence:08d}.json"


class _File(NamedTuple):
    """A file as it was seen: whoever changes or replaces it changes the time that no program can set."""

    name: str
    inode: int
    size: int
    changed_at: int


_FOLDERS_KEPT: Final = 2
_read_before: dict[Path, list[tuple[_File, Entry]]] = {}
"""Entries by the folder they were read from, the folder read last at the end."""


def _files(folder: Path) -> list[_File]:
    if not folder.exists():
        return []
    with os.scandir(folder) as listed:
        named = sorted((each for each in listed if each.name.endswith(".json")), key=lambda each: each.name)
    for number, each in enumerate(named, 1):
        if each.name != _name(number):
            raise EvidenceError(
                f"entry {_name(number)} is missing, {each.name} is there instead",
                where=folder,
                remedy="restore the journal from a copy handed to a participant or from backup",
            )
    stats = ((each.name, each.stat()) for each in named)
    return [_File(name, stat.st_ino, stat.st_size, stat.st_ctime_ns) for name, stat in stats]


def _read(path: Path, number: int) -> Entry:
    try:
        document = json.loads(path.read_bytes())
        entry = Entry(**document)
    except (ValueError, TypeError) as exc:
        raise EvidenceError("journal entry cannot be read", where=path, remedy="restore it from backup") from exc
    if entry.sequence != number:
        raise EvidenceError(f"entry carries sequence {entry.sequence}", where=path, remedy="restore it from backup")
    return entry
