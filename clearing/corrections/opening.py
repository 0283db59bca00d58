"""Opening stored value: what the cards of a centre carried when it took them over (docs/clearing-rules.md §16).

A file says what every card held. Two persons sign its SHA-256 and its sum with the correction that takes that much of
the reserve's opening balance for stored value; a copy is archived, so the evidence of every card stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from clearing.archive import Archive, file_sha256
from clearing.errors import ConfigError, RefusedError
from clearing.ledger.journal import Journal
from clearing.registers import Registers

TEMPLATE: Final = "OPENING_VALUE"
SCHEMA: Final = pa.schema([("card_id", pa.uint64()), ("balance", pa.int64())])
_MOST: Final = 2**40
"""Fen that no card holds."""


@dataclass(frozen=True, slots=True)
class Opening:
    """An opening file: its digest and what it sums to."""

    sha256: str
    fen: int
    card_id: npt.NDArray[np.uint64]
    """uint64[cards], ascending."""


def read_opening(path: Path, registers: Registers, day: int) -> Opening:
    """An opening file: Parquet with ``card_id`` uint64 and ``balance`` int64 fen, one row a card.

    Args:
        path: the file.
        registers: every card must be in the card register.
        day: on which.

    Raises:
        ConfigError: it cannot be read, a card stands twice or is not registered, a balance is missing or impossible.
    """
    try:
        columns = pq.read_table(path, schema=SCHEMA)
    except (OSError, pa.ArrowException, ValueError) as exc:
        raise ConfigError(
            f"no opening file: {exc}", where=path, remedy="columns card_id uint64, balance int64"
        ) from exc
    if columns.column("card_id").null_count or columns.column("balance").null_count:
        raise ConfigError("a card or a balance is missing", where=path, remedy="leave the row out, or complete it")
    card_id = np.asarray(columns.column("card_id").to_numpy(), np.uint64)
    balance = np.asarray(columns.column("balance").to_numpy(), np.int64)
    ids, counts = np.unique(card_id, return_counts=True)
    if (counts > 1).any():
        raise ConfigError(
            f"card {int(ids[counts > 1][0]):016x} stands twice", where=path, remedy="one row for each card"
        )
    if ((balance < 0) | (balance > _MOST)).any():
        wrong = int(card_id[(balance < 0) | (balance > _MOST)][0])
        raise ConfigError(
            f"card {wrong:016x} holds an impossible balance", where=path, remedy="0 fen or more; overdrafts apart"
        )
    unknown = registers.cards.at(ids, np.full(len(ids), day, np.int32)) < 0
    if unknown.any():
        raise ConfigError(
            f"card {int(ids[unknown][0]):016x} is not registered", where=path, remedy="add it to cards.parquet first"
        )
    return Opening(file_sha256(path), int(balance.sum()), ids)


def opening_fen(path: Path) -> int:
    """What an opening file sums to."""
    return int(np.asarray(pq.read_table(path, columns=["balance"]).column("balance").to_numpy(), np.int64).sum())


def refuse_card_again(opening: Opening, journal: Journal, archive: Archive) -> None:
    """Refuse a file with a card whose opening balance stands in the ledger already.

    Raises:
        RefusedError: naming the card.
    """
    for sha256 in standing_openings(journal):
        earlier = pq.read_table(archive.folder / "config" / sha256, columns=["card_id"]).column("card_id").to_numpy()
        again = opening.card_id[np.isin(opening.card_id, earlier)]
        if len(again):
            raise RefusedError(
                f"the opening balance of card {int(again[0]):016x} is taken over already",
                where=opening.sha256[:12],
                remedy="leave the card out, or undo the earlier opening",
            )


def standing_openings(journal: Journal) -> list[str]:
    """SHA-256 of every opening file that is in the ledger and was not undone."""
    found: dict[str, str] = {}
    for entry in journal.of_kind("adjustment"):
        for item in entry.body["items"]:
            if item["template"] == TEMPLATE:
                found[item["adjustment"]] = entry.body["sheet"]
            elif item["template"] == "UNDO":
                found.pop(item["undoes"], None)
    return list(found.values())
