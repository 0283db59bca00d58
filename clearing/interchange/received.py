"""FB of another centre, read as an acquirer: what became there of purchases this centre has cleared.

Nothing is posted: a purchase refused there is a case for a person (dispute), and so is a line that fits no purchase
here. A purchase is found by card, counter, amount and time, whatever serial the other centre gave it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from card_io.delivery.jtt978_records import RECORDS, LineFault, Value, read_records
from card_io.keys.keystore import KeyStore
from clearing.cards import CardKeys
from clearing.config import load_settings
from clearing.ledger.projection import PRIVATE_NAME
from clearing.status import Disposition
from clearing.store import Store, sql_text

_DONE: Final = 0
_Key = tuple[int, int | None, int, int, int]


@dataclass(frozen=True, slots=True)
class FeedbackFinding:
    """One line that a person has to look at.

    kind: refused_there (cleared here, refused there), cleared_there_only (not accepted here), unknown_here or
    unreadable.
    """

    line: int
    kind: str
    txn_id: int | None
    fen: int | None
    code: str
    text: str


@dataclass
class FeedbackSummary:
    """What a feedback file says; rows and fen by error code, findings by line."""

    file: str
    clearing_date: str
    records: int
    codes: dict[str, list[int]] = field(default_factory=dict)
    findings: list[FeedbackFinding] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def read_feedback(directory: Path, path: Path, *, passphrase: str) -> FeedbackSummary:
    """Compare an FB file with the published ledger of a centre.

    Raises:
        DeliveryError: the file is refused as a whole; line, field and remedy are named.
        ClearingError: there is no ledger, or no key for the card numbers.
    """
    reading = read_records(path.read_bytes(), path.name, RECORDS["FB"])
    store = KeyStore.unlock(directory / "keys" / "keystore.json", passphrase)
    keys = CardKeys.from_store(store)
    rows = [(line, row, _key(keys, row)) for line, row in reading.rows]
    settings = load_settings(directory)
    with Store(directory / PRIVATE_NAME, directory, read_only=True, threads=settings.centre.threads) as ledger:
        known = _purchases(ledger, sorted({key[0] for _, _, key in rows}))
    count: Counter[str] = Counter()
    fen: Counter[str] = Counter()
    for _, row, _ in rows:
        count[_code(row)] += 1
        fen[_code(row)] += _number(row["amount"])
    findings = [finding for line, row, key in rows if (finding := _judge(line, row, known.get(key)))]
    findings += [_unreadable(fault) for fault in reading.faults]
    return FeedbackSummary(
        path.name,
        reading.header.clearing_date.isoformat(),
        len(rows) + len(reading.faults),
        {code: [count[code], fen[code]] for code in sorted(count)},
        sorted(findings, key=lambda finding: finding.line),
    )


def _purchases(ledger: Store, cards: list[int]) -> dict[_Key, tuple[int, int]]:
    """(txn_id, disposition) of every purchase of some cards; of equal ones the accepted."""
    found: dict[_Key, tuple[int, int]] = {}
    for *key, txn_id, disposition in ledger.run(sql_text("interchange/purchases"), {"cards": cards}):
        card, counter, amount, date4, time3 = key
        entry = (card, counter, amount, date4, time3)
        if entry not in found or disposition == Disposition.ACCEPTED:
            found[entry] = (txn_id, disposition)
    return found


def _key(keys: CardKeys, row: dict[str, Value]) -> _Key:
    counter = row["card_purchase_counter"]
    return (
        keys.card_id_of_text(str(row["card_no"])),
        counter if isinstance(counter, int) else None,
        _number(row["amount"]),
        _number(row["date"]),
        _number(row["time"]),
    )


def _judge(line: int, row: dict[str, Value], known: tuple[int, int] | None) -> FeedbackFinding | None:
    done = _number(row["error_code"]) == _DONE
    if known is None:
        kind, txn_id = "unknown_here", None
    else:
        txn_id, accepted = known[0], known[1] == Disposition.ACCEPTED
        if done == accepted:
            return None
        kind = "cleared_there_only" if done else "refused_there"
    return FeedbackFinding(line, kind, txn_id, _number(row["amount"]), _code(row), str(row["error_text"]))


def _unreadable(fault: LineFault) -> FeedbackFinding:
    return FeedbackFinding(
        fault.line, "unreadable", None, None, "", f"{fault.field} is {fault.value}; {fault.remedy}"
    )


def _code(row: dict[str, Value]) -> str:
    return f"{_number(row['error_code']):06d}"


def _number(value: Value) -> int:
    return value if isinstance(value, int) else 0
