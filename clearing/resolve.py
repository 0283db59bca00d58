"""Who and when: card, parties, dates, agreements, class and TAC verdict of each row, by validity at its time.

The first half of pass 1: everything the ladder looks at, and no decision.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.delivery.classes import FareClass, FareClasses
from card_io.keys.keystore import KeyStore
from card_io.keys.tac_keys import TacKeyTable
from card_io.records import LOAD_TYPES, NULL, RecordBlock, TxnType, card_factor, wall_seconds
from clearing import calendar, grouping, mac
from clearing.agreements import Verification
from clearing.calendar import NO_DAY, day_number
from clearing.cards import CardKeys
from clearing.checks import Context
from clearing.config import Settings
from clearing.identity import identities_of
from clearing.mac import TacInput, TacVerdict
from clearing.records import Rows

UINT32_MAX: Final = 2**32 - 1

SIDECAR_CLASS: Final = np.zeros(len(FareClass) + 1, np.uint8)
"""Register class by :class:`FareClass`; rows the sidecar does not list, and unflagged transfers, are class 0."""
SIDECAR_CLASS[[FareClass.HALF, FareClass.FREE, FareClass.NONE]] = (6, 7, 8)

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What rows need to know of the file they came in; of several files that are alike, none with a sidecar."""

    sender: int
    received_at: int
    whole_row: bool
    multiplicity: int
    classes: FareClasses | None


@dataclass(frozen=True)
class Keys:
    """The keys of one run: card permutation and TAC masters."""

    cards: CardKeys
    store: KeyStore

    @functools.cached_property
    def tac(self) -> TacKeyTable:
        """Issuer-level masters, derived when the first record asks: many a command sees none."""
        return self.store.tac_key_table()


def txn_ids(file_no: int, source_row: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64[n] handles: file_no · 2³² + source row."""
    return (np.int64(file_no) << 32) + source_row


def resolve(
    block: RecordBlock, txn_id: npt.NDArray[np.int64], delivered: Delivered, context: Context, keys: Keys
) -> Rows:
    """Rows of one decoded block with every column the ladder asks for.

    Args:
        block: n decoded rows.
        txn_id: int64[n], their handles.
        delivered: the file they came in.
        context: settings and registers.
        keys: card permutation and TAC keys.
    """
    n, settings = len(block), context.settings
    columns = dict(block.columns)
    columns["card_id"] = keys.cards.card_ids(block)
    columns["txn_id"] = txn_id
    txn_time = wall_seconds(columns["date4"], columns["time3"])
    received_at = np.full(n, delivered.received_at, np.int64)
    operating_day = calendar.operating_days(txn_time, settings.calendar)
    columns |= {
        "txn_time": txn_time,
        "operating_day": operating_day,
        "received_window": np.full(n, context.received_window, np.int32),
        "window": calendar.windows(txn_time, received_at, settings.calendar),
        "party": context.registers.parties.position(columns["merchant_id"]).astype(np.int32),
        "issuer": _issuers(columns["issuer_id"], settings),
    }
    rows = Rows(block.service, columns, dict(block.bills))
    rows = rows.with_columns(**_agreements(rows, context, keys.tac))
    rows = rows.with_columns(**_register_class(rows, block, delivered, context))
    rows = rows.with_columns(tac_verdict=tac_verdicts(rows, block, keys.tac))
    found = identities_of(block.service, rows.columns, rows.bills, whole_row=delivered.whole_row)
    return rows.with_columns(
        content_lo=found.content.lo,
        content_hi=found.content.hi,
        identity_lo=found.identity.lo,
        identity_hi=found.identity.hi,
        variant=found.variant,
        counter_key=found.counter_key,
        service_key=found.service_key,
        multiplicity=np.full(n, delivered.multiplicity, np.uint8),
    )


def _issuers(issuer_id: Array, settings: Settings) -> npt.NDArray[np.int64]:
    """Participant number of each issuer id, 0 = unknown."""
    issuer = np.zeros(len(issuer_id), np.int64)
    for participant in settings.participants:
        if participant.issuer_id is not None:
            issuer[issuer_id == np.uint64(participant.issuer_number)] = participant.id
    return issuer


def _covers(rows: Rows, agreement: Verification, context: Context) -> npt.NDArray[np.bool_]:
    """bool[n]: the agreement is about these rows on their operating day."""
    if agreement.sender != context.sender or agreement.service != rows.service.name.lower():
        return np.zeros(len(rows), bool)
    day = rows["operating_day"]
    return np.asarray(
        (rows["issuer"] == agreement.issuer)
        & (day_number(agreement.valid_from) <= day)
        & (day <= day_number(agreement.valid_to))
    )


def _agreements(rows: Rows, context: Context, tac_keys: TacKeyTable) -> dict[str, Array]:
    """Which rows may stay unverified: by agreement, and clear-first only where the centre holds no key at all."""
    flags = {name: np.zeros(len(rows), np.uint8) for name in ("unverified", "clear_first", "classes_by_sidecar")}
    for agreement in context.settings.agreements.verification:
        covered = _covers(rows, agreement, context)
        issuer = context.settings.participant(agreement.issuer)
        if agreement.allow == "clear_first" and np.any(tac_keys.issuer_id == np.uint64(issuer.issuer_number)):
            continue
        flags[agreement.allow][covered] = 1
        if agreement.classes == "sidecar":
            flags["classes_by_sidecar"][covered] = 1
    return flags


def _register_class(rows: Rows, block: RecordBlock, delivered: Delivered, context: Context) -> dict[str, Array]:
    """Concession class on the operating day: of the register, or of the file's sidecar where agreed."""
    registered = np.zeros(len(rows), np.uint8)
    for participant in context.settings.participants:
        if participant.issuer_id is not None and participant.cards == "register":
            registered[rows["issuer"] == participant.id] = 1
    found = np.full(len(rows), -1, np.int64)
    asked = np.flatnonzero(registered)
    found[asked] = context.registers.cards.at(rows["card_id"][asked], rows["operating_day"][asked])
    card_class = np.maximum(found, 0).astype(np.uint8)
    transfer = np.zeros(len(rows), np.uint8)
    if delivered.classes is not None:
        agreed = rows["classes_by_sidecar"] == 1
        by_row, unflagged = _by_sidecar(delivered.classes, block.source_row)
        card_class = np.where(agreed, by_row, card_class).astype(np.uint8)
        transfer = np.where(agreed, unflagged, 0).astype(np.uint8)
    return {
        "card_registered": registered,
        "card_known": (found >= 0).astype(np.uint8),
        "register_class": card_class,
        "unflagged_transfer": transfer,
    }


def _by_sidecar(classes: FareClasses, source_row: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Register class and unflagged-transfer flag (uint8[n] each) of source rows by the file's sidecar."""
    at = np.minimum(np.searchsorted(classes.source_row, source_row), max(len(classes.source_row) - 1, 0))
    fare_class = np.zeros(len(source_row), np.uint8)
    if len(classes.source_row):
        listed = classes.source_row[at] == source_row
        fare_class[listed] = classes.fare_class[at[listed]]
    return SIDECAR_CLASS[fare_class], (fare_class == FareClass.UNFLAGGED_TRANSFER).astype(np.uint8)


def tac_verdicts(rows: Rows, block: RecordBlock, table: TacKeyTable) -> npt.NDArray[np.uint8]:
    """uint8[n] :class:`TacVerdict` of each row, whatever the ladder will say."""
    is_load = grouping.among(rows["txn_type"], LOAD_TYPES)
    covered = np.where(
        is_load,
        (rows["balance_after"] != NULL) & (rows["card_counter"] != NULL),
        rows["terminal_counter"] != NULL,
    )
    tac = np.where(covered & (rows["tac"] != NULL), rows["tac"], -1)
    verdict = mac.verify_tac(_tac_input(rows, block, _key_rows(rows, is_load, table)), tac, table.master)
    verdict[tac < 0] = TacVerdict.MISSING
    outside = covered & ((rows["amount"] < 0) | (rows["amount"] > UINT32_MAX))
    for name, limit in (("balance_after", UINT32_MAX), ("card_counter", 0xFFFF), ("terminal_counter", UINT32_MAX)):
        form = ~is_load if name == "terminal_counter" else is_load
        outside |= covered & form & ((rows[name] < 0) | (rows[name] > limit))
    verdict[outside & (verdict == TacVerdict.VERIFIED)] = TacVerdict.FAILED
    verdict[rows["txn_type"] == TxnType.NO_PURSE] = TacVerdict.NOT_CHECKED
    return verdict


def _key_rows(rows: Rows, is_load: npt.NDArray[np.bool_], table: TacKeyTable) -> npt.NDArray[np.int32]:
    """int32[n] key of each row: by issuer, direction, version, index and algorithm, valid on its day; −1 none."""
    key_row = np.full(len(rows), -1, np.int32)
    day = np.where(rows["operating_day"] == NO_DAY, 0, rows["operating_day"])
    form = _key_form(rows["key_version"], rows["key_index"], rows["algorithm"], is_load)
    wanted = _key_form(table.key_version, table.key_index, table.algorithm, table.is_load)
    for row in range(len(table)):
        fits = np.flatnonzero((form == wanted[row]) & (rows["issuer_id"] == table.issuer_id[row]))
        valid = (table.valid_from[row] <= day[fits]) & (day[fits] <= table.valid_to[row])
        key_row[fits[valid]] = row
    return key_row


def _key_form(version: Array, index: Array, algorithm: Array, is_load: Array) -> npt.NDArray[np.uint32]:
    """uint32[n]: what a key and a row must agree in besides the issuer, in one number."""
    form = version.astype(np.uint32) << 8 | index.astype(np.uint32)
    return np.asarray(form << 16 | algorithm.astype(np.uint32) << 8 | is_load)


def _tac_input(rows: Rows, block: RecordBlock, key_row: npt.NDArray[np.int32]) -> TacInput:
    key_row = np.where(block.card_digits == 0, np.int32(-1), key_row)
    return TacInput(
        amount=rows["amount"],
        txn_type=rows["txn_type"],
        terminal_id=rows["terminal_id"],
        terminal_counter=rows["terminal_counter"].astype(np.uint32),
        date4=rows["date4"],
        time3=rows["time3"],
        new_balance=rows["balance_after"].astype(np.uint32),
        online_counter=rows["card_counter"].astype(np.uint16),
        factor=card_factor(block.card_number),
        key_row=key_row,
    )
