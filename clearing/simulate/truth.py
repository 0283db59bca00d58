"""What the simulator knows and the centre must find out: expected outcome per row, and totals of the day."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from card_io.records import Service
from clearing.calendar import SECONDS_PER_DAY, received_window
from clearing.config import Calendar
from clearing.simulate.faults import Fault
from clearing.simulate.memory import verdicts
from clearing.simulate.records import SOUND
from clearing.simulate.table import Bools, Ints, Table, length
from clearing.status import ClearingStatus, Mismatch, PriceVerdict

ROWS_SCHEMA: Final = pa.schema(
    [
        ("file", pa.string()),
        ("source_row", pa.int64()),
        ("service", pa.uint8()),
        ("status", pa.int16()),
        ("faults", pa.int64()),
        ("window", pa.int32()),
        ("price_verdict", pa.uint8()),
        ("amount", pa.int64()),
        ("card_paid", pa.int64()),
        ("overcharge", pa.int64()),
        ("fund", pa.int32()),
        ("fund_paid", pa.int64()),
    ]
)

_VERDICTS: Final = (
    (Fault.OVERCHARGE, PriceVerdict.OVERCHARGE),
    (Fault.UNDERCHARGE, PriceVerdict.UNDERCHARGE),
    (Fault.FALSE_CLASS, PriceVerdict.CLASS_MISMATCH),
    (Fault.UNFLAGGED_TRANSFER, PriceVerdict.UNFLAGGED_TRANSFER),
)


_MISMATCHES: Final = {
    "hifp_pay": (Mismatch.FUND_OVERPAID, Mismatch.FUND_UNDERPAID),
    "psn_cash_pay": (Mismatch.OVERCHARGE, Mismatch.UNDERCHARGE),
    "bill_amount": (Mismatch.OVERCHARGE, Mismatch.UNDERCHARGE),
}
"""Class of a finding in each amount that is made wrong: too much, too little."""


@dataclass
class _Money:
    rows: int = 0
    fen: int = 0

    def add(self, rows: int, fen: int) -> None:
        self.rows += rows
        self.fen += fen


@dataclass
class DayTruth:
    """Totals of one simulated day, and the row file they are summed from."""

    statuses: defaultdict[str, _Money] = field(default_factory=lambda: defaultdict(_Money))
    services: defaultdict[str, _Money] = field(default_factory=lambda: defaultdict(_Money))
    faults: Counter[str] = field(default_factory=Counter)
    merchants: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    several_faults: int = 0
    faulty: int = 0
    utilities: Counter[int] = field(default_factory=Counter)
    findings: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The totals as JSON values."""
        return {
            "statuses": {name: vars(money) for name, money in sorted(self.statuses.items())},
            "services": {name: vars(money) for name, money in sorted(self.services.items())},
            "faults": {kind.name: self.faults[kind.name] for kind in Fault},
            "faulty_rows": self.faulty,
            "rows_with_several_faults": self.several_faults,
            "merchants": {str(number): dict(sums) for number, sums in sorted(self.merchants.items())},
            "bills_paid": {str(number): fen for number, fen in sorted(self.utilities.items())},
            "findings": self.findings,
            "mismatches": dict(sorted(Counter(finding["mismatch"] for finding in self.findings).items())),
        }

    def count(self, rows: Table, judged: Table) -> None:
        """Add the rows of one file."""
        status = judged["status"]
        for value in np.unique(status).tolist():
            here = status == value
            self.statuses[ClearingStatus(value).name].add(int(here.sum()), int(judged["amount"][here].sum()))
        service = Service(int(rows["service"][0]))
        self.services[service.name.lower()].add(len(status), int(judged["amount"].sum()))
        mask = rows["mask"]
        for kind in Fault:
            self.faults[kind.name] += int(np.count_nonzero(mask & kind.bit))
        self.faulty += int(np.count_nonzero(mask))
        self.several_faults += int(np.count_nonzero(mask & (mask - 1)))
        accepted = status == ClearingStatus.ACCEPTED
        for merchant in np.unique(rows["merchant"][accepted]).tolist():
            here = accepted & (rows["merchant"] == merchant)
            sums = self.merchants[merchant]
            sums["rows"] += int(here.sum())
            for name in ("card_paid", "fund_paid", "overcharge"):
                sums[name] += int(judged[name][here].sum())

    def count_bills(self, rows: Table, status: npt.NDArray[np.int16], utility: Table, bills: Table) -> None:
        """Add what each utility gets for the bills of accepted payments; a bill is paid once."""
        accepted = rows["detail"][(rows["service"] == Service.UTILITY) & (status == ClearingStatus.ACCEPTED)]
        count = utility["bill_count"][accepted]
        place = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        position = np.repeat(utility["first_bill"][accepted], count) + place
        _, first = np.unique(bills["bill_id"][position], return_index=True)
        paid = position[first]
        for number in np.unique(bills["utility_id"][paid]).tolist():
            self.utilities[number] += int(bills["bill_amount"][paid][bills["utility_id"][paid] == number].sum())

    def expect_settlement_findings(self, file: str, rows: Table, judged: Table, settlements: Table) -> None:
        """Add what a recomputation must find in the accepted settlements of one file."""
        error = settlements["fund_error"][rows["detail"]]
        for name, too_much in (("hifp_pay", error), ("psn_cash_pay", -error)):
            delivered = settlements[name][rows["detail"]]
            self._expect(file, judged, name, delivered, too_much, np.zeros(len(error), np.int64))

    def expect_bill_findings(self, file: str, rows: Table, judged: Table, utility: Table, bills: Table) -> None:
        """Add what a recomputation must find in the accepted payments of one file: only first bills are mispriced."""
        first = utility["first_bill"][rows["detail"]]
        error, amount, number = (bills[name][first] for name in ("price_error", "bill_amount", "bill_id"))
        self._expect(file, judged, "bill_amount", amount, error, number)

    def _expect(self, file: str, judged: Table, name: str, delivered: Ints, too_much: Ints, bill_id: Ints) -> None:
        self.findings += [
            {
                "file": file,
                "source_row": int(at) + 1,
                "bill_id": int(bill_id[at]) or None,
                "window": int(judged["window"][at]),
                "field": name,
                "mismatch": str(_MISMATCHES[name][int(too_much[at] < 0)]),
                "delivered": int(delivered[at]),
                "recomputed": int(delivered[at] - too_much[at]),
            }
            for at in np.flatnonzero((judged["status"] == ClearingStatus.ACCEPTED) & (too_much != 0))
        ]


class RowFile:
    """Writer of ``rows.parquet``: one line per delivered row, file by file."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, ROWS_SCHEMA, compression="zstd", compression_level=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def append(self, file: str, rows: Table, judged: Table) -> None:
        """Write the expected outcomes of one file's rows, in the file's order."""
        count = length(rows)
        columns = {
            "file": pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), [file]).dictionary_decode(),
            "source_row": np.arange(1, count + 1),
            "service": rows["service"],
            "faults": rows["mask"],
            **judged,
        }
        arrays = [pa.array(columns[name]).cast(ROWS_SCHEMA.field(name).type) for name in ROWS_SCHEMA.names]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=ROWS_SCHEMA))


def final_status(rows: Table) -> npt.NDArray[np.int16]:
    """Expected status of each row."""
    return np.where(rows["status"] == SOUND, ClearingStatus.ACCEPTED, rows["status"]).astype(np.int16)


def judge(rows: Table, granted: Ints, sent_at: int, calendar: Calendar) -> Table:
    """Expected outcome of one file's rows; money columns are 0 unless the row is accepted.

    ``granted`` is what a grant gives; ``amount`` of the result is that for grants, else what the purse moved.
    """
    status = final_status(rows)
    accepted = status == ClearingStatus.ACCEPTED
    paid = np.where(accepted, np.minimum(rows["amount"], rows["due"]), 0)
    return {
        "status": status,
        "window": _windows(rows, sent_at, calendar),
        "price_verdict": _verdicts(rows, accepted),
        "amount": np.where(rows["service"] == Service.BENEFIT, granted, rows["amount"]),
        "card_paid": paid,
        "overcharge": np.where(accepted, rows["amount"] - paid, 0),
        "fund": np.where(accepted, rows["fund"], 0),
        "fund_paid": np.where(accepted, rows["fund_paid"], 0),
    }


def _windows(rows: Table, sent_at: int, calendar: Calendar) -> Ints:
    received = received_window(sent_at, calendar)
    operating = (rows["time"] - calendar.day_cut) // SECONDS_PER_DAY
    unusable = rows["date_broken"] | (rows["time"] > sent_at + calendar.future_tolerance_seconds)
    window: Ints = np.where(unusable, received, np.maximum(operating, received))
    return window


def _verdicts(rows: Table, accepted: Bools) -> npt.NDArray[np.uint8]:
    priced = accepted & (rows["service"] == Service.TRANSIT)
    verdict = np.where(priced, PriceVerdict.MATCH, PriceVerdict.NOT_PRICED).astype(np.uint8)
    for kind, value in _VERDICTS:
        verdict[priced & ((rows["mask"] & kind.bit) != 0)] = value
    remembered = accepted & rows["remembered"]
    verdict[remembered] = verdicts(rows, rows["due"])[remembered]
    return verdict


def write_truth(path: Path, day: DayTruth, extra: dict[str, Any]) -> None:
    """Write ``truth.json``."""
    path.write_text(json.dumps(extra | day.as_json(), indent=1, ensure_ascii=False) + "\n", "utf-8")
