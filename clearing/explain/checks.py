"""The proof and the ladder of one row, evaluated again by itself: TAC, every rung, the register facts used."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final, Literal

from card_io import mac
from card_io.keys.tac_keys import TacKeyTable
from card_io.records import LOAD_TYPES, NULL, Algorithm, RecordBlock, TxnType
from clearing.calendar import NO_DAY, date_of
from clearing.centre import Centre
from clearing.checks import AFTER_BENEFIT, BEFORE_BENEFIT, EARLY, Check, Context
from clearing.explain.evidence import party_of
from clearing.explain.model import Ladder, Outcome, RegisterFacts, Rung, TacProof, Text
from clearing.mac import TacVerdict
from clearing.records import Rows
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition

_FACTOR_DIGITS: Final = 16
_MEETING: Final = (ClearingStatus.DUPLICATE, ClearingStatus.REPLAY, ClearingStatus.CONFLICT)

By = Literal["row", "record"]
Step = tuple[ClearingStatus, By, Callable[[], bool]]
"""A rung, what it is judged by, and whether the row fails it."""


def tac_proof(row: Rows, block: RecordBlock, table: TacKeyTable, recorded: TacVerdict) -> TacProof:
    """Verify the TAC of one row with :mod:`card_io.mac`, which shares no line with the batch engine."""
    value = {name: int(row[name][0]) for name in _TAC_COLUMNS}
    covered, given = _covered(value), value["tac"]
    key = _key_of(value, table) if block.card_digits[0] else None
    verdict = TacVerdict.VERIFIED
    if value["txn_type"] == TxnType.NO_PURSE:
        verdict = TacVerdict.NOT_CHECKED
    elif given == NULL or _lacking(value):
        verdict = TacVerdict.MISSING
    elif key is None:
        verdict = TacVerdict.KEY_UNKNOWN
    elif covered is None or _code(covered, table.master[key].tobytes(), block) != given:
        verdict = TacVerdict.FAILED
    return TacProof(
        covered=covered.hex() if covered is not None else None,
        given=f"{given:08x}" if given != NULL else None,
        key=_key_text(table, key) if key is not None else None,
        recomputed=verdict.name,
        recorded=recorded.name,
        agrees=verdict == recorded,
    )


_TAC_COLUMNS: Final = (
    "tac", "amount", "txn_type", "terminal_id", "terminal_counter", "date4", "time3", "balance_after", "card_counter",
    "issuer_id", "key_version", "key_index", "algorithm", "operating_day",
)  # fmt: skip


def _lacking(value: dict[str, int]) -> bool:
    """A field the TAC covers is missing."""
    if value["txn_type"] in LOAD_TYPES:
        return NULL in (value["balance_after"], value["card_counter"])
    return value["terminal_counter"] == NULL


def _covered(value: dict[str, int]) -> bytes | None:
    """The bytes the TAC covers; None for a row without purse, a missing field, or one beyond its bytes."""
    if value["txn_type"] == TxnType.NO_PURSE or _lacking(value):
        return None
    common = (value["amount"], value["txn_type"], value["terminal_id"])
    moment = (value["date4"], value["time3"])
    try:
        if value["txn_type"] in LOAD_TYPES:
            return mac.load_tac_data(value["balance_after"], value["card_counter"], *common, *moment)
        return mac.purchase_tac_data(*common, value["terminal_counter"], *moment)
    except OverflowError:
        return None


def _key_of(value: dict[str, int], table: TacKeyTable) -> int | None:
    """Row of the last key that fits issuer, direction, version, index and algorithm on the operating day."""
    day = 0 if value["operating_day"] == NO_DAY else value["operating_day"]
    fitting = [
        at
        for at in range(len(table))
        if value["issuer_id"] == table.issuer_id[at]
        and value["key_version"] == table.key_version[at]
        and value["key_index"] == table.key_index[at]
        and value["algorithm"] == table.algorithm[at] == Algorithm.TDES
        and (value["txn_type"] in LOAD_TYPES) == table.is_load[at]
        and table.valid_from[at] <= day <= table.valid_to[at]
    ]
    return fitting[-1] if fitting else None


def _code(covered: bytes, master: bytes, block: RecordBlock) -> int:
    digits = f"{int(block.card_number[0]):0{_FACTOR_DIGITS}d}"[-_FACTOR_DIGITS:]
    key = mac.tac_key(mac.diversify_key(master, bytes.fromhex(digits)))
    return int.from_bytes(mac.cbc_mac(key, mac.pad_marked(covered))[:4], "big")


def _key_text(table: TacKeyTable, at: int) -> str:
    kind = "load" if table.is_load[at] else "purchase"
    valid = f"{date_of(int(table.valid_from[at]))}..{date_of(int(table.valid_to[at]))}"
    return f"{int(table.issuer_id[at]):016x} {kind} v{table.key_version[at]} i{table.key_index[at]} {valid}"


def ladder_of(row: Rows, context: Context, recorded: ClearingStatus, disposition: Disposition) -> Ladder:
    """Climb again with one row; rungs after the one that decides are not evaluated.

    Args:
        row: one resolved and priced row with the recorded TAC verdict.
        context: settings, registers and facts of the delivery as the batch had them.
        recorded: the status in the segment; rungs about other rows are taken from it.
        disposition: as recorded.
    """
    return _ladder(_steps(row, context, recorded), recorded, disposition)


def ladder_of_unreadable() -> Ladder:
    """The ladder of a row that never became a record."""
    recorded = ClearingStatus.UNREADABLE
    steps: Iterator[Step] = ((status, "row", partial(operator.is_, status, recorded)) for status in _order())
    return _ladder(steps, recorded, Disposition.UNREADABLE)


_GREY_LATER: Final = (ClearingStatus.GREY_PROVEN, ClearingStatus.GREY_DISPROVEN, ClearingStatus.REPLAY)
"""What a linked event may have made of a grey row; the ladder still ends where the row was first held."""


def _order() -> list[ClearingStatus]:
    return [
        ClearingStatus.UNREADABLE,
        *(check.status for check in EARLY),
        *_MEETING,
        *(check.status for check in BEFORE_BENEFIT),
        ClearingStatus.BENEFIT_UNMATCHED,
        *(check.status for check in AFTER_BENEFIT),
    ]


def _steps(row: Rows, context: Context, recorded: ClearingStatus) -> Iterator[Step]:
    by_row: dict[ClearingStatus, Check] = {c.status: c for c in (*EARLY, *BEFORE_BENEFIT, *AFTER_BENEFIT)}
    for status in _order():
        if status in by_row:
            yield status, "row", partial(_fails, by_row[status], row, context)
        else:
            by: By = "row" if status is ClearingStatus.UNREADABLE else "record"
            yield status, by, partial(operator.is_, status, recorded)


def _fails(check: Check, row: Rows, context: Context) -> bool:
    return bool(check.fails(row, context)[0])


def _ladder(steps: Iterator[Step], recorded: ClearingStatus, disposition: Disposition) -> Ladder:
    decided, rungs = ClearingStatus.ACCEPTED, []
    for status, by, fails in steps:
        outcome: Outcome = "not_reached"
        if decided is ClearingStatus.ACCEPTED:
            outcome = "fail" if fails() else "pass"
            decided = status if outcome == "fail" else decided
        rungs.append(Rung(int(status), status.name, outcome, by, _text(status)))
    later = decided is ClearingStatus.GREY_RECORD and recorded in _GREY_LATER
    reproduced = later or decided is recorded
    return Ladder(tuple(rungs), int(recorded), recorded.name, _text(recorded), disposition.name, reproduced)


def _text(status: ClearingStatus) -> Text:
    return Text(STATUS_TEXT[status].zh, STATUS_TEXT[status].en)


def register_facts(row: Rows, centre: Centre) -> RegisterFacts:
    """What merchant, terminal, card and issuer registers said of one resolved row on its operating day."""
    day, merchant, party = row["operating_day"], int(row["merchant_id"][0]), int(row["party"][0])
    owner = int(centre.registers.terminals.at(row["terminal_id"], day)[0])
    registered = bool(row["card_registered"][0])
    agreements = [name for name in ("unverified", "clear_first", "classes_by_sidecar") if row[name][0]]
    return RegisterFacts(
        operating_day=None if day[0] == NO_DAY else date_of(int(day[0])).isoformat(),
        merchant=party_of(centre, merchant),
        merchant_sender=int(centre.registers.parties.sender[party]) if party >= 0 else None,
        terminal_owner=party_of(centre, owner) if owner >= 0 else None,
        issuer=party_of(centre, int(row["issuer"][0])),
        card_registered=bool(row["card_known"][0]) if registered else None,
        register_class=int(row["register_class"][0]),
        terminal_class=int(row["card_class"][0]) if "card_class" in row.columns else None,
        agreement=", ".join(agreements) or None,
    )
