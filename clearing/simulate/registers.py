"""The registers a simulated day needs, written into the centre: cards, blacklist, terminals, senders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from clearing.initialise import BLACKLIST_SCHEMA, CARDS_SCHEMA, SENDERS_HEADER, TERMINALS_HEADER
from clearing.simulate.city import OWN, City
from clearing.simulate.keyring import Secrets
from clearing.simulate.population import NEVER, Population

_VALID: Final = "2020-01-01,2099-12-31"
_LAST_DAY: Final = 47_481  # 2099-12-31


def write_registers(
    folder: Path,
    city: City,
    populations: Iterable[Population],
    terminal_ids: npt.NDArray[np.uint64],
    secrets: Secrets,
) -> None:
    """Replace the registers by those of all districts; terminals only ever join.

    Args:
        folder: the centre's ``registers``.
        city: senders and merchants.
        populations: one of each district there has ever been, visited once.
        terminal_ids: the terminals of this day.
        secrets: for card ids and the senders' public keys.
    """
    _write_terminals(folder / "terminals.csv", terminal_ids)
    senders = sorted({venue.sender for venue in city.venues})
    lines = [f"{sender},{secrets.sender_key(sender).verify_key.to_hex()},{_VALID}\n" for sender in senders]
    (folder / "senders.csv").write_text(SENDERS_HEADER + "".join(lines), "ascii")
    cards, listed = [], []
    for population in populations:
        ids = secrets.card_ids(population)
        columns = population.cards
        own = columns["issuer"] == OWN
        cards.append((ids[own], columns["card_class"][own], columns["valid_from"][own]))
        on_list = columns["published_at"] != NEVER
        listed.append((ids[on_list], columns["published_at"][on_list], columns["removed_at"][on_list]))
    card_id, card_class, valid_from = (np.concatenate(parts) for parts in zip(*cards, strict=True))
    order = np.argsort(card_id)
    valid_to = np.full(len(order), _LAST_DAY, np.int32)
    _write(
        folder / "cards.parquet",
        CARDS_SCHEMA,
        (card_id[order], card_class[order], valid_from[order].astype(np.int32), valid_to),
    )
    entries = [np.concatenate(parts) for parts in zip(*listed, strict=True)]
    order = np.lexsort((entries[1], entries[0]))
    _write(folder / "blacklist.parquet", BLACKLIST_SCHEMA, tuple(column[order] for column in entries))


def _write_terminals(path: Path, terminal_ids: npt.NDArray[np.uint64]) -> None:
    _, *known = path.read_text("ascii").splitlines(keepends=True)
    used = np.unique(terminal_ids).tolist()
    lines = {f"{terminal:012x},{terminal >> 32},{_VALID}\n" for terminal in used}
    path.write_text(TERMINALS_HEADER + "".join(sorted(lines.union(known))), "ascii")


def _write(path: Path, schema: pa.Schema, columns: tuple[npt.NDArray[np.generic], ...]) -> None:
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd")
