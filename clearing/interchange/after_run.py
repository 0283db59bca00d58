"""FB to the acquirers and CL to the issuers: every purchase of a batch, from its segments.

FB lists every row of a sender's purchase files as first decided, unreadable ones too. CL lists the accepted purse
purchases of an issuer's cards; when a later batch changes a decision, its CL carries the reversal (transaction type
with a leading 9) and the new row. Fees are of the window, not of the row (docs/clearing-rules.md §9): see CR.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.delivery.fixed_width_writer import tlv_texts
from card_io.delivery.jtt978_records import RECORDS, TextRecord, Value, shortened
from card_io.delivery.profile import FixedWidth, HexColumn, load_profile
from card_io.records import COMMON_FIELDS, NULL, PURCHASE_TYPES, Service
from clearing.calendar import date_of, received_window
from clearing.centre import Centre
from clearing.errors import ConfigError
from clearing.interchange.outbox import first_part, partners, send
from clearing.ledger.journal import Entry
from clearing.ledger.segments import read_segment, unreadable_rows
from clearing.records import DECIDED_FIELDS
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition

CL_PROFILE: Final = "jtt978-cl"
"""The profile that names the verification data, for writing as for reading."""

_MCC: Final = {Service.TRANSIT: "4111", Service.MEDICAL: "8062", Service.UTILITY: "4900", Service.RETAIL: "5999"}
"""Merchant category (ISO 18245) of each purchase service; the others carry no purchase."""

_OFFLINE: Final = "01"
_REVERSAL: Final = 0x9000
_TAKEN: Final = {
    field.name: field
    for field in (*DECIDED_FIELDS, *COMMON_FIELDS)
    if field.name
    in {
        *("txn_id", "card_id", "issuer", "merchant_id", "txn_type", "card_counter", "balance_before", "amount"),
        *("date4", "time3", "status", "disposition", "test_flag", "purse_kind", "algorithm", "terminal_id"),
        *("terminal_counter", "issuer_id", "key_version", "key_index", "tac", "sign"),
    }
}

_Columns = dict[str, npt.NDArray[Any]]


def write_after_run(centre: Centre, batch: Entry, intake: dict[int, Entry]) -> None:
    """Write the FB and CL files of a batch that are not there yet; ``intake`` has entries of at least its files."""
    sent = {file["file_no"]: intake[file["file_no"]] for file in batch.body["files"]}
    wanted = []
    for partner in partners(centre):
        mine = [no for no, entry in sent.items() if entry.body["sender"] == partner.id and _is_purchase(entry)]
        if mine:
            wanted.append((partner.id, "FB", mine))
        if partner.kind in ("issuer", "counterparty"):
            wanted.append((partner.id, "CL", []))
    wanted = [each for each in wanted if not first_part(centre, each[0], batch.sequence, each[1]).exists()]
    if not wanted:
        return
    rows = _rows_of(centre, batch)
    date = date_of(received_window(batch.at, centre.settings.calendar))
    for participant, kind, files in wanted:
        if kind == "FB":
            records = feedback_records(centre, rows, participant, {no: sent[no] for no in files})
        else:
            records = clearing_records(centre, rows, participant)
        send(centre, participant, batch.sequence, kind, records, date, RECORDS[kind].length)


def clearing_totals(centre: Centre, batch: Entry, issuer: int) -> tuple[int, int]:
    """Count of records and net fen (reversals count negative) of the CL of a batch for an issuer."""
    rows = _cleared(_rows_of(centre, batch), issuer)
    return len(rows["sign"]), int((rows["amount"] * rows["sign"]).sum())


def _is_purchase(entry: Entry) -> bool:
    return Service[entry.body["service"].upper()] in _MCC


def _rows_of(centre: Centre, batch: Entry) -> _Columns:
    """Rows of the purchase services in a batch, by (txn_id, sign): column-wise, with `service` and `first`."""
    parts: list[_Columns] = []
    for segment in batch.body["segments"]:
        folder, name = segment["name"].split("/")
        if folder == "unreadable":
            parts.append(_unreadable(unreadable_rows(centre.directory / "segments", segment["name"])))
        elif folder != "bill" and Service[folder.upper()] in _MCC:
            rows = read_segment(centre.directory / "segments", segment["name"])
            columns = {column: rows[column] for column in _TAKEN}
            columns["service"] = np.full(len(rows), int(rows.service))
            columns["first"] = np.full(len(rows), "events" not in name)
            parts.append(columns)
    joined = {name: np.concatenate([part[name] for part in [_unreadable(np.empty(0, np.int64)), *parts]])
              for name in (*_TAKEN, "service", "first")}  # fmt: skip
    order = np.lexsort((joined["sign"], joined["txn_id"]))
    return {name: column[order] for name, column in joined.items()}


def _unreadable(txn_id: npt.NDArray[np.int64]) -> _Columns:
    """Rows that could not be decoded: their handle, their status, and nothing else."""
    columns: _Columns = {
        name: np.full(len(txn_id), NULL if field.nullable else 0, field.dtype) for name, field in _TAKEN.items()
    }
    columns["txn_id"], columns["sign"] = txn_id, np.ones(len(txn_id), np.int8)
    columns["status"] = np.full(len(txn_id), ClearingStatus.UNREADABLE, np.int16)
    columns["service"], columns["first"] = np.zeros(len(txn_id), np.int64), np.ones(len(txn_id), bool)
    return columns


def _take(rows: _Columns, chosen: npt.NDArray[Any]) -> _Columns:
    return {name: column[chosen] for name, column in rows.items()}


def _cleared(rows: _Columns, issuer: int) -> _Columns:
    purchase = np.isin(rows["txn_type"], list(PURCHASE_TYPES)) & (rows["disposition"] == Disposition.ACCEPTED)
    return _take(rows, purchase & (rows["issuer"] == issuer))


def feedback_records(centre: Centre, rows: _Columns, sender: int, files: dict[int, Entry]) -> list[bytes]:
    """FB lines of a sender's files in file order.

    Args:
        rows: of the batch, as :func:`write_after_run` reads them.
        sender: the acquirer.
        files: intake entries by file number.
    """
    mine = _take(rows, np.isin(rows["txn_id"] >> 32, list(files)) & rows["first"])
    services = {no: Service[entry.body["service"].upper()] for no, entry in files.items()}
    numbers = (mine["txn_id"] >> 32).tolist()
    statuses = [ClearingStatus(status) for status in mine["status"].tolist()]
    record = RECORDS["FB"]
    text = {status: shortened(STATUS_TEXT[status].zh, _width(record, "error_text")) for status in set(statuses)}
    columns = _common(centre, mine, record, files) | {
        "receiving_clearing_org_id": _same(mine, centre.settings.centre.id),
        "sender_code": _same(mine, sender),
        "mcc": [_MCC[services[no]] for no in numbers],
        "error_code": [0 if status is ClearingStatus.ACCEPTED else int(status) for status in statuses],
        "error_text": ["" if status is ClearingStatus.ACCEPTED else text[status] for status in statuses],
        "reserved": _same(mine, ""),
    }
    return record.encode(columns)


def clearing_records(centre: Centre, rows: _Columns, issuer: int) -> list[bytes]:
    """CL lines of an issuer's accepted purchases and of reversals, by (txn_id, reversal first)."""
    mine = _cleared(rows, issuer)
    files = {entry.body["file_no"]: entry for entry in centre.journal.of_kind("intake")}
    senders = [files[no].body["sender"] for no in (mine["txn_id"] >> 32).tolist()]
    record = RECORDS["CL"]
    columns = _common(centre, mine, record, files) | {
        "acquirer_code": [str(sender) for sender in senders],
        "receiver_code": _same(mine, issuer),
        "sender_id": _same(mine, centre.settings.centre.id),
        "mcc": [_MCC[Service(service)] for service in mine["service"].tolist()],
        "balance_kind": [max(kind - 1, 0) for kind in mine["purse_kind"].tolist()],
        "algorithm": mine["algorithm"].tolist(),
        "error_code": _same(mine, 0),
        "error_text": _same(mine, ""),
    }
    return [
        line + tail.encode() for line, tail in zip(record.encode(columns), _verification(centre, mine), strict=True)
    ]


def _verification(centre: Centre, rows: _Columns) -> list[str]:
    """The TLV part: what the issuer needs to verify the TAC, by the centre's profile."""
    profile = load_profile(CL_PROFILE, centre.profile_folders)
    assert isinstance(profile.layout, FixedWidth)
    fields = {column.source: column.field for column in profile.columns if isinstance(column, HexColumn)}
    if unmapped := [name for name in profile.layout.tags if name not in fields]:
        raise ConfigError(
            f"profile {CL_PROFILE} does not map {', '.join(unmapped)} as hex",
            where=f"profiles/{CL_PROFILE}.yaml",
            remedy="give each tag of the verification data a column of kind hex, or remove the profile",
        )
    values = {name: rows[fields[name]].tolist() for name in profile.layout.tags}
    return tlv_texts(values, profile.layout, len(rows["txn_id"]))


def _common(
    centre: Centre, rows: _Columns, record: TextRecord, files: dict[int, Entry]
) -> dict[str, Sequence[Value]]:
    """What FB and CL both say of a row."""
    txn_id = rows["txn_id"].tolist()
    dates = {no: int(entry.body["file_date"].replace("-", ""), 16) for no, entry in files.items()}
    card = centre.vault.card_texts(np.unique(rows["card_id"]))
    types = (rows["txn_type"].astype(np.int64) | np.where(rows["sign"] < 0, _REVERSAL, 0)).tolist()
    return {
        "clearing_serial": [clearing_serial(each) for each in txn_id],
        "acquirer_serial": [f"{each & 0xFFFFFFFF:012d}" for each in txn_id],
        "acquirer_accept_date": [dates[each >> 32] for each in txn_id],
        "retrieval_ref": [f"{each >> 32:012d}" for each in txn_id],
        "transaction_type": [f"{each:04X}" for each in types],
        "acquirer_id": [str(each) for each in rows["merchant_id"].tolist()],
        "issuer_city_card_company": [str(each) for each in rows["issuer"].tolist()],
        "channel_type": _same(rows, _OFFLINE),
        "card_no": [_holding(card.get(each), _width(record, "card_no")) for each in rows["card_id"].tolist()],
        "card_purchase_counter": _numbers(rows["card_counter"], _width(record, "card_purchase_counter")),
        "balance_before": _numbers(rows["balance_before"], _width(record, "balance_before")),
        "amount": _numbers(rows["amount"], _width(record, "amount")),
        "date": rows["date4"].tolist(),
        "time": rows["time3"].tolist(),
        "test_flag": _numbers(rows["test_flag"], _width(record, "test_flag")),
        **{name: _same(rows, 0) for name in ("fee", "issuer_share", "acquirer_share", "reserved_share")},
    }


_SERIAL_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUV"


def clearing_serial(txn_id: int) -> str:
    """The centre's serial of a transaction: its handle in base 32, twelve characters."""
    return "".join(_SERIAL_DIGITS[txn_id >> 5 * place & 31] for place in reversed(range(12)))


def txn_id_of(serial: str) -> int:
    """The handle behind a clearing serial.

    Raises:
        ValueError: for a text that is no serial of this centre.
    """
    return int(serial, 32)


def _same(rows: _Columns, value: int | str) -> list[Value]:
    return [value if isinstance(value, str) or value == 0 else str(value)] * len(rows["txn_id"])


def _width(record: TextRecord, name: str) -> int:
    return next(field.width for field in record.fields if field.name == name)


def _numbers(values: npt.NDArray[Any], width: int) -> list[Value]:
    """Numbers that their field can hold; what it cannot (only rows that no check let through) is blank."""
    least, most = -(10 ** (width - 1)), 10**width
    return [each if each != NULL and least < each < most else None for each in values.tolist()]


def _holding(text: str | None, width: int) -> str:
    """A card text, or nothing when the field cannot hold it or the row could not be decoded."""
    return text if text is not None and len(text) <= width and text.isascii() else ""
