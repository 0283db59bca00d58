"""Simulated centres for the evidence tests, and what two centres must have in common to be the same ledger."""

from __future__ import annotations

import datetime
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from card_io.delivery.manifest import Manifest, load_manifest, write_manifest
from card_io.keys.signature import SigningKey
from clearing.calendar import seconds_of
from clearing.content import add_roots
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.ledger.journal import Entry, Journal
from clearing.run_summary import RunSummary
from clearing.simulate import FaultLevel, simulate_day

PASSPHRASE = "evidence"
CHEAP_SCRYPT = 2
DAY = datetime.date(2026, 3, 2)
WINDOW_ENDS = ("2026-03-03T05:00:00", "2026-03-04T05:00:00")
"""Two declared clocks, each after the cut-off of one window of the simulated day."""


def simulate(directory: Path, *, rows: int, faults: FaultLevel = "heavy", seed: int = 1) -> Path:
    """A new centre with one simulated day in its inbox; its truth lies in ``<directory>.truth``."""
    initialise_centre(directory, simulated=True, passphrase=PASSPHRASE, scrypt_n=CHEAP_SCRYPT)
    simulate_day(directory, date=DAY, transactions=rows, seed=seed, faults=faults, passphrase=PASSPHRASE)
    return directory


def copy_of(centre: Path, target: Path) -> Path:
    """A centre to spoil; the original stays as it is."""
    return Path(shutil.copytree(centre, target))


def clear(centre: Path, clocks: Iterable[str] = WINDOW_ENDS) -> list[RunSummary]:
    """Run the centre once per declared clock."""
    return [run_centre(centre, passphrase=PASSPHRASE, now=seconds_of(clock)) for clock in clocks]


def entries(centre: Path, kind: str) -> list[Entry]:
    """The journal entries of one kind."""
    return list(Journal(centre / "journal").of_kind(kind))


@dataclass
class Ledger:
    """What must not depend on crashes, order, threads or partitions.

    Attributes:
        roots: content root per window.
        balances: fen by (window, account kind, participant, source).
        receipts: bytes by delivered file.
        feedback: bytes by delivered file.
        statuses: [rows, fen] by (status, disposition).
    """

    roots: dict[str, int] = field(default_factory=dict)
    balances: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    receipts: dict[str, bytes] = field(default_factory=dict)
    feedback: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    @property
    def money(self) -> tuple[dict[str, int], dict[tuple[Any, ...], int]]:
        """Roots and non-zero balances: all that is left when files are cut otherwise."""
        return self.roots, {account: fen for account, fen in self.balances.items() if fen}


def ledger_of(centre: Path) -> Ledger:
    """What the journal of a centre seals and its outbox says."""
    found = Ledger()
    names = {entry.body["file_no"]: entry.body["file"] for entry in entries(centre, "intake")}
    for batch in entries(centre, "batch"):
        for window, root in batch.body["content_roots"].items():
            found.roots[window] = add_roots(found.roots.get(window, 0), int(root, 16))
        for *account, fen in batch.body["postings"]:
            found.balances[tuple(account)] += fen
        for file in batch.body["files"]:
            for status, disposition, rows, fen in file["results"]:
                total = found.statuses.setdefault((status, disposition), [0, 0])
                total[0] += rows
                total[1] += fen or 0
    found.roots = {window: root for window, root in found.roots.items() if root}
    for kind, kept in (("receipt.json", found.receipts), ("feedback.parquet", found.feedback)):
        for path in (centre / "outbox").glob(f"*/*.{kind}"):
            kept[names[int(path.name.split(".")[0])]] = path.read_bytes()
    return found


def sender_key(centre: Path, sender: int) -> SigningKey:
    """The key a simulated sender signs with, from the truth beside the centre it was simulated in."""
    plain = json.loads(centre.with_name(centre.name + ".truth").joinpath("keys.json").read_text("ascii"))
    seed = bytes.fromhex(plain["sender_seed"])
    return SigningKey(hashlib.sha256(seed + sender.to_bytes(4, "big")).digest())


@dataclass(frozen=True)
class Sent:
    """A delivery in memory: its manifest and its rows."""

    manifest: Manifest
    table: pa.Table


def read_sent(inbox: Path, names: Iterable[str]) -> list[Sent]:
    """Deliveries lying in a folder, by file name."""
    return [
        Sent(load_manifest(inbox / f"{name}.manifest.json"), pq.read_table(inbox / name)) for name in sorted(names)
    ]


def send(inbox: Path, table: pa.Table, manifest: Manifest, key: SigningKey, **changes: Any) -> Manifest:
    """Write rows as the delivery ``manifest`` describes, with changes, its hash and row count made true."""
    name = changes.get("file", manifest.file)
    pq.write_table(table, inbox / name, compression=changes.pop("compression", "zstd"))
    changes |= {"rows": table.num_rows, "sha256": hashlib.sha256((inbox / name).read_bytes()).hexdigest()}
    signed = manifest.model_copy(update={"signature": None, **changes}).with_signature(key.sign)
    write_manifest(inbox, signed)
    return signed
