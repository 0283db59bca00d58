"""A centre with hand-written transactions: every row is genuine until a case changes it.

A table of cases has one transaction a line: service, changes, expected status. Each line has a card and numbers of
its own, unless it is indented: then it belongs to the transaction above, with the same card and the same numbers.
A value ``+n`` (``+-n``) is added to the ordinary one, ``-`` is missing, ``wrong`` is a TAC that does not fit,
``BENEFIT`` is the number of the transaction's own benefit.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import itertools
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from published import ask

from card_io import mac
from card_io.delivery.manifest import Manifest, write_manifest
from card_io.delivery.parquet import write_parquet
from card_io.keys.entry import KeyKind
from card_io.keys.keystore import KeyStore
from card_io.keys.signature import SigningKey
from card_io.keys.tac_keys import issuer_master
from card_io.records import BILL_FIELDS, LOAD_TYPES, MEDICAL_FIELDS, NULL, Service, fields_of
from clearing.calendar import seconds_of
from clearing.cards import CardKeys
from clearing.engine import run_centre
from clearing.initialise import BLACKLIST_SCHEMA, CARDS_SCHEMA, initialise_centre
from clearing.registers import STILL_LISTED
from clearing.run_summary import RunSummary
from clearing.status import ClearingStatus
from evidence.centres import CHEAP_SCRYPT, PASSPHRASE

TODAY = "2026-03-02"
RECEIVED = f"{TODAY}T20:00:00"
OWN, NEIGHBOUR, DISTANT, NOBODY = 0x3104770000000001, 0x2150000000000001, 0x5840000000000001, 0x999
TERMINAL = 1
"""Low 32 bits of every merchant's registered terminal; the high bits are the merchant's number."""

SENDER_OF = {"transit": 210, "medical": 300, "utility": 600, "retail": 500, "load": 701, "benefit": 901}
MERCHANT_OF = {"transit": 211, "medical": 301, "utility": 601, "retail": 501, "load": 701, "benefit": 901}
PURSE_MERCHANTS = (201, 211, 221, 231, 301, 501, 511, 601, 701, 702)

_ISSUER = {"foreign": NEIGHBOUR, "keyless": DISTANT}
_PREFIX = {"own": "3104770", "foreign": "2150001", "keyless": "5840001"}
_REGISTERED = ("own", "other", "student", "elderly", "expired", "blacklisted", "grace")
_KINDS = (*_REGISTERED, "unregistered", "foreign", "keyless")
_POOL = 300
_CLASS = {"student": 1, "elderly": 2}
"""Concession classes of the register that the demo tariffs know."""

_EPOCH = datetime.date(1970, 1, 1)


def card_number(kind: str, number: int) -> str:
    """19 digits of the n-th card of a kind."""
    return f"{_PREFIX.get(kind, _PREFIX['own'])}{_KINDS.index(kind):02d}{number:010d}"


@dataclass
class Line:
    """One transaction: where it goes and what it says."""

    service: str
    card: str
    values: dict[str, int]
    bills: list[tuple[int, int, int]]
    sender: int
    received: str
    file: str
    expected: str = ""
    text: str = ""
    place: tuple[str, int] = ("", 0)
    """Delivered file and row, once it is sent."""


@dataclass
class Centre:
    """A simulated centre in a folder, with the keys to make records genuine."""

    directory: Path
    masters: dict[tuple[int, bool, int, int], bytes] = field(repr=False)
    _sequence: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    def create(cls, directory: Path) -> Centre:
        """The sample centre with registers for the cards and terminals of this module, and what lies beside it."""
        folder, masters = _made_once()
        for part in Path(folder.name).iterdir():
            shutil.copytree(part, directory.parent / part.name.replace("centre", directory.name, 1))
        return cls(directory, masters)

    def sign(self, sender: int) -> SigningKey:
        """The signing key of a sender."""
        return sender_signing_key(sender)

    def tac(self, card: str, values: dict[str, int]) -> int:
        """The TAC the card computed, by the scalar twin of the batch engine."""
        load = values["txn_type"] in LOAD_TYPES
        slot = (values["issuer_id"], load, values["key_version"], values["key_index"])
        master = self.masters.get(slot, bytes(range(16)))
        key = mac.diversify_key(master, bytes.fromhex(card[-16:]))
        common = {name: values[name] for name in ("amount", "txn_type", "terminal_id", "date4", "time3")}
        if load:
            code = mac.load_tac(
                key, new_balance=values["balance_after"], online_counter=values["card_counter"], **common
            )
        else:
            code = mac.purchase_tac(key, terminal_counter=values["terminal_counter"], **common)
        return int.from_bytes(code, "big")

    def deliver(self, lines: Iterable[Line]) -> list[Manifest]:
        """One delivery per sender, service, time of receipt and ``file``; each line learns its place."""
        groups: dict[tuple[int, str, str, str], list[Line]] = {}
        for line in lines:
            groups.setdefault((line.sender, line.service, line.received, line.file), []).append(line)
        return [self.send(group) for group in groups.values()]

    def send(self, lines: list[Line], **changes: Any) -> Manifest:
        """Write one file of these lines and its manifest, in which ``changes`` may lie."""
        first, sequence = lines[0], next(self._sequence)
        name = changes.get("file", f"{first.sender:04d}-{first.service}-{TODAY}-{sequence:05d}.parquet")
        path = self.directory / "inbox" / name
        write_rows(path, lines)
        for row, line in enumerate(lines, 1):
            line.place = (name, row)
        money = "granted" if first.service == "benefit" else "amount"
        manifest = Manifest(
            format_version=1,
            sender=first.sender,
            service=first.service,  # type: ignore[arg-type]
            file_date=TODAY,
            sequence=sequence,
            file=name,
            format="parquet",
            rows=len(lines),
            amount_fen=sum(max(line.values[money], 0) for line in lines),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            sent_at=first.received,
        )
        key = changes.pop("key", None) or sender_signing_key(first.sender)
        signed = manifest.model_copy(update=changes).with_signature(key.sign)
        write_manifest(path.parent, signed)
        return signed

    def run(self, now: str = "2026-03-04T05:00:00", **options: Any) -> RunSummary:
        """Clear what has arrived by ``now``."""
        return run_centre(self.directory, passphrase=PASSPHRASE, now=seconds_of(now), **options)

    def run_apart(self, lines: Iterable[Line]) -> None:
        """One run after each time of receipt."""
        for moment in sorted({line.received for line in lines}):
            self.run(moment)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of the published ledger."""
        return ask(self.directory, sql)

    def decisions(self, columns: str = "status") -> dict[tuple[str, int], Any]:
        """Columns of the newest decision by (file, row); a single column as its value, a status as its name."""
        rows = self.query(
            f"SELECT file, txn_id & 4294967295, {columns} FROM decisions d JOIN files f ON f.file_no = txn_id >> 32"
        )
        if columns != "status":
            return {(file, row): tuple(values) for file, row, *values in rows}
        unread = self.query("SELECT file, txn_id & 4294967295 FROM unreadable JOIN files ON file_no = txn_id >> 32")
        found = {(file, row): ClearingStatus(status).name for file, row, status in rows}
        return found | dict.fromkeys(unread, "UNREADABLE")


def sender_signing_key(sender: int) -> SigningKey:
    """The key of a hand-made centre's sender."""
    return SigningKey(hashlib.sha256(b"sender %d" % sender).digest())


def write_rows(path: Path, lines: list[Line]) -> None:
    """A Parquet delivery of these lines, all of one service."""
    service = Service[lines[0].service.upper()]
    columns = {f.name: np.array([line.values[f.name] for line in lines], f.dtype) for f in fields_of(service)}
    bills = None
    if service is Service.UTILITY:
        listed = [(row, *bill) for row, line in enumerate(lines) for bill in line.bills]
        made = [
            {"utility_id": utility, "bill_id": number, "bill_amount": fen, "commodity": 1, "period": 202602}
            for _, utility, number, fen in listed
        ]
        bills = {
            f.name: np.array([bill.get(f.name, NULL if f.nullable else 1) for bill in made], f.dtype)
            for f in BILL_FIELDS
        }
        bills["bill_row"] = np.array([row for row, *_ in listed], np.int64)
    write_parquet(path, service, [line.card for line in lines], columns, bills)


class Cases:
    """Makes lines, each with a card and numbers of its own."""

    def __init__(self, centre: Centre) -> None:
        self.centre = centre
        self._number = itertools.count(1)
        self._current = 0

    def read(self, text: str) -> list[Line]:
        """The transactions of a table."""
        lines = []
        for raw in text.splitlines():
            content = raw.split("#")[0].rstrip()
            if not content.strip():
                continue
            service, *changes, expected = content.split()
            given = dict(change.split("=", 1) for change in changes)
            line = self.line(service, again=content[0].isspace(), **given)
            line.expected, line.text = expected, " ".join(content.split())
            lines.append(line)
        return lines

    def line(self, service: str, *, again: bool = False, **given: Any) -> Line:
        """One transaction; ``again``: with card and numbers of the one before."""
        if not again:
            self._current = next(self._number)
            assert self._current < _POOL, "more transactions than registered cards"
        number, given = self._current, {name: str(value) for name, value in given.items()}
        kind = given.pop("card", "own")
        card = card_number(kind, number)
        sender = int(given.pop("sender", SENDER_OF[service]))
        received, file = given.pop("received", RECEIVED), given.pop("file", "")
        received = received if len(received) == 19 else f"2026-{received}"
        bills = [
            (int(utility), number * 100 + int(bill), int(fen))
            for utility, bill, fen in (each.split(":") for each in given.pop("bills", "").split(",") if each)
        ]
        if service == "utility" and not bills:
            bills = [(611, number * 100, 200)]
        values = self._values(service, kind, number, given)
        tac = given.pop("tac", None)
        assert not given, f"{service} has no column {sorted(given)}"
        if tac == "-" or values["txn_type"] == 0:
            values["tac"] = NULL
        elif any(values[name] < 0 for name in ("amount", *_COVERED[values["txn_type"] in LOAD_TYPES])):
            values["tac"] = 1
        else:
            values["tac"] = self.centre.tac(card, values) ^ (tac == "wrong")
        return Line(service, card, values, bills if service == "utility" else [], sender, received, file)

    def _values(self, service: str, kind: str, number: int, given: dict[str, str]) -> dict[str, int]:
        values = {f.name: NULL if f.nullable else 0 for f in fields_of(Service[service.upper()])}
        values |= _ORDINARY | _of_service(service, number) | {"issuer_id": _ISSUER.get(kind, OWN)}
        day, time = given.pop("date", TODAY), given.pop("time", "12:00:00")
        values |= {"date4": int(day.replace("-", ""), 16), "time3": int(time.replace(":", ""), 16)}
        merchant = values["merchant_id"] = int(given.pop("merchant", values["merchant_id"]))
        values["terminal_id"] = merchant << 32 | int(given.pop("terminal", TERMINAL))
        named = [name for name in given if name in values and name != "tac"]
        if given.get("benefit_id") == "BENEFIT":
            given["benefit_id"] = str(number * 10)
        for name in named:
            values[name] = _number(given.pop(name), values[name])
        if values["txn_type"] == 0:
            values |= dict.fromkeys(_PURSE_ONLY - set(named), NULL)
        elif "balance_after" not in named and values["balance_before"] != NULL:
            sign = 1 if values["txn_type"] in LOAD_TYPES else -1
            values["balance_after"] = values["balance_before"] + sign * values["amount"]
        return values


def _number(text: str, ordinary: int) -> int:
    if text == "-":
        return NULL
    return ordinary + int(text[1:]) if text.startswith("+") else int(text, 0)


_COVERED = {True: ("balance_after", "card_counter"), False: ("terminal_counter",)}
"""Nullable columns that the TAC of a load, and of a purchase, covers."""
_PURSE_ONLY = {"card_counter", "terminal_counter", "balance_before", "balance_after"}
_ORDINARY = {
    "purse_kind": 1,
    "card_counter": 10,
    "txn_type": 6,
    "terminal_counter": 100,
    "amount": 200,
    "balance_before": 50_000,
    "key_version": 1,
    "key_index": 1,
}


def _of_service(service: str, number: int) -> dict[str, int]:
    """Ordinary values of a service; settlements, benefits and lists are numbered like the case."""
    merchant = {"merchant_id": MERCHANT_OF[service]}
    if service == "transit":
        return {**merchant, "mode": 2}
    if service == "medical":
        fees = {f.name: 0 for f in MEDICAL_FIELDS if not f.nullable}
        fees |= {"medfee_sumamt": 1000, "inscp_scp_amt": 1000, "hifp_pay": 500, "fund_pay_sumamt": 500}
        fees |= {"psn_part_amt": 500, "acct_pay": 300, "psn_cash_pay": 200}
        return {**merchant, **fees, "region": 310400, "institution": 5, "settlement_id": number * 10}
    if service == "load":
        return {**merchant, "txn_type": 2}
    if service == "benefit":
        fixed = {"txn_type": 0, "amount": 0, "benefit_id": number * 10, "list_id": 3, "list_line": number * 10}
        return {**merchant, **fixed, "granted": 200}
    return merchant


@functools.cache
def _made_once() -> tuple[tempfile.TemporaryDirectory[str], dict[tuple[int, bool, int, int], bytes]]:
    """A centre to copy, and its master keys: every one of this process has the same."""
    folder = tempfile.TemporaryDirectory(prefix="handmade-")
    directory = Path(folder.name) / "centre"
    initialise_centre(directory, simulated=True, passphrase=PASSPHRASE, scrypt_n=CHEAP_SCRYPT)
    store = KeyStore.unlock(directory / "keys" / "keystore.json", PASSPHRASE)
    masters = {
        (int(a.issuer_id, 16), a.kind is KeyKind.TAC_LOAD, a.key_version, a.key_index): issuer_master(key)
        for key in store.stored(KeyKind.TAC_PURCHASE, KeyKind.TAC_LOAD)
        for a in (key.attributes,)
    }
    _write_registers(directory / "registers", CardKeys.from_store(store))
    return folder, masters


def _write_registers(folder: Path, keys: CardKeys) -> None:
    valid = "2020-01-01,2099-12-31"
    terminals = [f"{m << 32 | TERMINAL:012x},{m},{valid}\n" for m in PURSE_MERCHANTS]
    terminals.append(f"{211 << 32 | 9:012x},211,2026-04-01,2099-12-31\n")
    with (folder / "terminals.csv").open("a") as file:
        file.writelines(terminals)
    senders = sorted({*SENDER_OF.values(), 200, 220, 230, 510, 702, 902})
    with (folder / "senders.csv").open("a") as file:
        file.writelines(f"{s},{sender_signing_key(s).verify_key.to_hex()},{valid}\n" for s in senders)
    ids = {kind: [keys.card_id_of_text(card_number(kind, n)) for n in range(_POOL)] for kind in _REGISTERED}
    cards = sorted(
        (card, _CLASS.get(kind, 0), _day("2020-01-01"), _day("2026-02-28" if kind == "expired" else "2099-12-31"))
        for kind, listed in ids.items()
        for card in listed
    )
    _write(folder / "cards.parquet", CARDS_SCHEMA, cards)
    published = {"blacklisted": "2026-03-01T12:00:00", "grace": "2026-03-01T12:00:01"}
    entries = sorted((card, seconds_of(at), STILL_LISTED) for kind, at in published.items() for card in ids[kind])
    _write(folder / "blacklist.parquet", BLACKLIST_SCHEMA, entries)


def _write(path: Path, schema: pa.Schema, rows: list[tuple[int, ...]]) -> None:
    columns = [pa.array(column, f.type) for column, f in zip(zip(*rows, strict=True), schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)


def _day(text: str) -> int:
    return (datetime.date.fromisoformat(text) - _EPOCH).days
