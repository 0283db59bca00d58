"""Card identity and the card vault (docs/clearing-rules.md §2; DESIGN §8).

Inside the engine a card is its ``card_id``: the same in any order and on any machine, without a look-up. The vault
alone can go back from ``card_id`` to the number. It is a sequence of immutable sealed chunks, each named by its
SHA-256 in the batch entry that added it.
"""

from __future__ import annotations

import hmac
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from card_io.keys import aead
from card_io.keys.aead import KeyEncryptionKey
from card_io.keys.entry import KeyKind
from card_io.keys.keystore import KeyStore
from card_io.records import Columns, RecordBlock
from clearing import kernels, mac
from clearing.durable import durable_file
from clearing.errors import ClearingError, EvidenceError
from clearing.key_index import KeyIndex, ascending

OPAQUE_VERSION = 0
"""Key version of the ``card_id`` key that hashes opaque card texts; other versions are digit counts."""


class CardKeys:
    """The keys of the card permutation, by count of digits; 0 is the key for opaque texts."""

    def __init__(self, keys: dict[int, bytes]) -> None:
        self._keys = keys

    @classmethod
    def from_store(cls, store: KeyStore) -> CardKeys:
        """The ``card_id`` keys of a key store (they have no validity in effect: a card's id never changes)."""
        return cls({key.attributes.key_version: key.secret for key in store.stored(KeyKind.CARD_ID)})

    def card_ids(self, block: RecordBlock) -> npt.NDArray[np.uint64]:
        """uint64[n] card_id of each row of a block.

        Raises:
            ClearingError: when the key store has no key for opaque texts.
        """
        return self.permute(block.card_number, block.card_digits, block.card_text)

    def permute(
        self, number: npt.NDArray[np.uint64], digits: npt.NDArray[np.uint8], text: dict[int, str]
    ) -> npt.NDArray[np.uint64]:
        """uint64[n] card_id of numbers (uint64[n]) with their digit counts (uint8[n]) and opaque texts by row."""
        card_id = np.zeros(len(number), np.uint64)
        for count in np.flatnonzero(np.bincount(digits, minlength=1)):
            if count == OPAQUE_VERSION:
                continue
            rows = np.flatnonzero(digits == count)
            if count in self._keys:
                card_id[rows] = mac.tdes_encrypt_blocks(number[rows], self._key(int(count)))
            else:
                card_id[rows] = [self._hashed(f"{each:0{count}d}") for each in number[rows]]
        for row, opaque in text.items():
            card_id[row] = self.card_id_of_text(opaque)
        return card_id

    def card_id_of_text(self, text: str) -> int:
        """card_id of one card number or opaque text."""
        if text.isascii() and text.isdigit() and len(text) in self._keys:
            number = np.array([int(text)], np.uint64)
            return int(mac.tdes_encrypt_blocks(number, self._key(len(text)))[0])
        return self._hashed(text)

    def token(self, card_id: int, purpose: str) -> str:
        """Name of a card for one kind of export, 32 hex digits: without the key neither the card nor another
        export's token of it can be told.

        Raises:
            ClearingError: when the key store has no key for opaque texts.
        """
        return hmac.digest(self._key(OPAQUE_VERSION), f"{purpose}\n{card_id}".encode(), "sha256")[:16].hex()

    def _hashed(self, text: str) -> int:
        """card_id of an opaque text, or of a number of a length the centre has no permutation key for."""
        digest = hmac.digest(self._key(OPAQUE_VERSION), text.encode(), "sha256")
        return int.from_bytes(digest[:8], "big")

    def _key(self, version: int) -> bytes:
        try:
            return self._keys[version]
        except KeyError as exc:
            raise ClearingError(
                f"no card_id key for card numbers of {version} digits",
                where="keys/",
                remedy=f"add a card_id key of version {version} and run again",
            ) from exc


_CHUNK_COLUMNS: Final = {"card_id": np.uint64, "issuer_id": np.uint64, "number": np.uint64, "digits": np.uint8}
_NEWCOMERS_MIN: Final = 1 << 8
_ROWS_PER_CARD: Final = 2
"""At least as many rows a day brings of a card."""
_NEWCOMERS_FORESEEN: Final = 1 << 23
"""Most cards that have room before they come: what manifests announce nobody has checked yet."""


@dataclass(frozen=True, slots=True)
class CardRows:
    """Cards as columns of one length: of a block row by row, of a chunk each once and sorted by ``card_id``.

    ``text`` holds opaque texts; it is empty when all cards are numbers.
    """

    card_id: npt.NDArray[np.uint64]
    issuer_id: npt.NDArray[np.uint64]
    number: npt.NDArray[np.uint64]
    digits: npt.NDArray[np.uint8]
    text: dict[int, str]

    @classmethod
    def of(cls, block: RecordBlock, card_id: npt.NDArray[np.uint64]) -> CardRows:
        """The cards of a decoded block, row by row."""
        text = {int(card_id[row]): opaque for row, opaque in block.card_text.items()}
        return cls(card_id, block.columns["issuer_id"], block.card_number, block.card_digits, text)

    def take(self, chosen: npt.NDArray[Any] | slice) -> CardRows:
        """The cards at the chosen positions; texts stay together, whoever asks for one names its card."""
        return CardRows(
            self.card_id[chosen], self.issuer_id[chosen], self.number[chosen], self.digits[chosen], self.text
        )

    def without(self, rows: npt.NDArray[np.int64]) -> CardRows:
        """The cards but those at the given positions."""
        kept = np.ones(len(self.card_id), bool)
        kept[rows] = False
        return self.take(np.flatnonzero(kept))


@dataclass(frozen=True)
class _Known:
    """Cards of the vault in memory, indexed when they are first asked for: a run asks for none that it adds."""

    cards: CardRows

    @cached_property
    def index(self) -> KeyIndex:
        return KeyIndex(self.cards.card_id)


def _indexed(cards: CardRows) -> list[_Known]:
    return [_Known(cards)] if len(cards.card_id) else []


class Vault:
    """The card vault of one centre: known ids in memory, card texts only in sealed chunks."""

    def __init__(self, folder: Path, kek: KeyEncryptionKey, chunks: Iterable[str]) -> None:
        """Open the vault with the chunks the journal names (a file the journal does not name is not read)."""
        self.folder, self._kek = folder, kek
        self.chunks = list(chunks)

    @cached_property
    def _known(self) -> list[_Known]:
        """The cards of all chunks, read when a batch first asks whether it brings new ones: few commands do."""
        return _indexed(_sorted(_concatenated([self._read(name) for name in self.chunks])))

    def empty_at(self, folder: Path) -> Vault:
        """A vault under the same key that knows no card yet."""
        return Vault(folder, self._kek, [])

    def unknown(self, cards: CardRows) -> CardRows:
        """The cards that no chunk holds.

        Raises:
            ClearingError: a known card_id comes with another number (never guessed which is meant).
        """
        for each in self._known:
            known, at = each.cards, each.index.first(cards.card_id)
            held = np.flatnonzero(at >= 0)
            if len(held):
                at = at[held]
                _refuse_clash(
                    self.folder, (known.number[at] != cards.number[held]) | (known.digits[at] != cards.digits[held])
                )
                texts = [known.text.get(card, text) != text for card, text in cards.text.items()]
                _refuse_clash(self.folder, np.array(texts, bool))
                cards = cards.without(held)
        return cards

    def add(self, name: str, newcomers: Newcomers) -> tuple[str, str] | None:
        """Seal a chunk of the cards not known yet; returns (file name, SHA-256 hex), or None when there are none.

        Raises:
            ClearingError: two different cards have one card_id.
        """
        fresh = _sorted(self.unknown(newcomers.cards()))
        if not len(fresh.card_id):
            return None
        columns = {name: getattr(fresh, name) for name in _CHUNK_COLUMNS}
        table = pa.table({**columns, "text": _texts(fresh)})
        plain = io.BytesIO()
        with pa.ipc.new_file(plain, table.schema) as writer:
            writer.write_table(table)
        with durable_file(self.folder / name, large=True) as target:
            plain.seek(0)
            digest = aead.encrypt_file(plain, target, self._kek)
        self._known.extend(_indexed(fresh))
        self.chunks.append(name)
        return name, digest.cipher_sha256

    def card_text(self, card_id: int) -> str | None:
        """The card number or text of one card, for audited use only; None when the vault does not know it."""
        for name in reversed(self.chunks):
            cards = self._read(name)
            at = int(np.searchsorted(cards.card_id, np.uint64(card_id)))
            if at < len(cards.card_id) and int(cards.card_id[at]) == card_id:
                digits = int(cards.digits[at])
                return f"{int(cards.number[at]):0{digits}d}" if digits else cards.text[card_id]
        return None

    def card_texts(self, card_ids: npt.NDArray[np.uint64]) -> dict[int, str]:
        """The numbers or texts of many cards, of those the vault knows; for participant files that need them."""
        found: dict[int, str] = {}
        for name in self.chunks:
            cards = self._read(name)
            for at in np.flatnonzero(np.isin(cards.card_id, card_ids)).tolist():
                card, digits = int(cards.card_id[at]), int(cards.digits[at])
                found[card] = f"{int(cards.number[at]):0{digits}d}" if digits else cards.text[card]
        return found

    def _read(self, name: str) -> CardRows:
        path = self.folder / name
        try:
            plain = aead.decrypt_bytes(path.read_bytes(), self._kek)
        except FileNotFoundError as exc:
            raise EvidenceError("vault chunk is missing", where=path, remedy="restore it from backup") from exc
        table = pa.ipc.open_file(pa.BufferReader(plain)).read_all()
        opaque = table.filter(pc.not_equal(table.column("text"), ""))
        text = dict(zip(opaque.column("card_id").to_pylist(), opaque.column("text").to_pylist(), strict=True))
        card_id, issuer_id, number, digits = (table.column(c).to_numpy() for c in _CHUNK_COLUMNS)
        return CardRows(card_id, issuer_id, number, digits, text)


def _concatenated(parts: list[CardRows]) -> CardRows:
    """The cards of all parts, one part after the other."""
    if len(parts) == 1:
        return parts[0]
    text: dict[int, str] = {}
    for part in parts:
        text |= part.text
    none = np.empty(0, np.uint64)
    return CardRows(
        np.concatenate([none, *(part.card_id for part in parts)]),
        np.concatenate([none, *(part.issuer_id for part in parts)]),
        np.concatenate([none, *(part.number for part in parts)]),
        np.concatenate([np.empty(0, np.uint8), *(part.digits for part in parts)]),
        text,
    )


def _texts(cards: CardRows) -> pa.Array:
    """The opaque text of each card, empty for a number; of cards sorted by ``card_id``."""
    texts = pa.repeat("", len(cards.card_id))
    named = sorted(cards.text)
    at = np.flatnonzero(np.isin(cards.card_id, np.array(named, np.uint64)))
    opaque = np.zeros(len(cards.card_id), bool)
    opaque[at] = True
    return pc.replace_with_mask(
        texts, opaque, pa.array([cards.text[int(card)] for card in cards.card_id[at]], pa.string())
    )


def _sorted(cards: CardRows) -> CardRows:
    """The cards by ascending ``card_id``."""
    in_order = bool(np.all(cards.card_id[1:] > cards.card_id[:-1]))
    return cards if in_order else cards.take(ascending(cards.card_id))


class Newcomers:
    """The cards that the files of one run bring, each once: a day brings a card ten times.

    Which of them are new the vault says when the run has all of them: it is asked once for each card.
    """

    def __init__(self, folder: Path, rows_expected: int = 0) -> None:
        """None yet.

        Args:
            folder: of the vault, for the error that may stop them.
            rows_expected: rows announced; a wrong number costs time alone.
        """
        self._folder = folder
        self._count = 0
        self._columns: Columns = {name: np.empty(0, dtype) for name, dtype in _CHUNK_COLUMNS.items()}
        self._text: dict[int, str] = {}
        self._expected = _NEWCOMERS_MIN + min(rows_expected // _ROWS_PER_CARD, _NEWCOMERS_FORESEEN)

    def add(self, cards: CardRows) -> None:
        """Take the cards of a block.

        Raises:
            ClearingError: two different cards have one card_id.
        """
        if not len(cards.card_id):
            return
        if self._count + len(cards.card_id) > len(self._columns["card_id"]):
            self._grow(max(4 * (self._count + len(cards.card_id)), self._expected))
        at = np.empty(len(cards.card_id), np.int64)
        known = self._count
        self._count = kernels.enter_keys(cards.card_id, self._slot_key, self._slot_at, known, at)
        # The first row of a card says who it is; any other must say the same.
        new = np.flatnonzero(at >= known)[::-1]
        for name, column in self._columns.items():
            column[at[new]] = getattr(cards, name)[new]
        number, digits = self._columns["number"], self._columns["digits"]
        _refuse_clash(self._folder, (number[at] != cards.number) | (digits[at] != cards.digits))
        _refuse_clash(
            self._folder, np.array([self._text.get(c, text) != text for c, text in cards.text.items()], bool)
        )
        self._text |= cards.text

    def cards(self) -> CardRows:
        """All of them, as they came: on most days few are new, and only those need an order."""
        card_id, issuer_id, number, digits = (self._columns[name][: self._count] for name in _CHUNK_COLUMNS)
        return CardRows(card_id, issuer_id, number, digits, self._text)

    def _grow(self, room: int) -> None:
        for name, column in self._columns.items():
            self._columns[name] = roomier = np.empty(room, column.dtype)
            roomier[: self._count] = column[: self._count]
        slots = 1 << (room + room // 4).bit_length()
        self._slot_key, self._slot_at = np.empty(slots, np.uint64), np.full(slots, -1, np.int32)
        listed = self._columns["card_id"][: self._count]
        kernels.enter_keys(listed, self._slot_key, self._slot_at, 0, np.empty(self._count, np.int64))


def _refuse_clash(folder: Path, clash: npt.NDArray[np.bool_]) -> None:
    if clash.any():
        raise ClearingError(
            "two different cards have the same card_id", where=folder, remedy="report it; nothing was posted"
        )
