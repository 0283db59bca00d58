"""The only place of these tests that knows how centre, simulator and engine are called."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from published import ask, published

from clearing.calendar import date_of, day_number, seconds_of
from clearing.engine import receive_centre, run_centre
from clearing.initialise import initialise_centre
from clearing.mac import TacVerdict
from clearing.posting import PostingTemplate
from clearing.settlement import close_window
from clearing.simulate import simulate_day
from clearing.status import ClearingStatus, Disposition, PriceVerdict
from clearing.store import Store, sql_text
from simulation.comparison import EngineResult

PASSPHRASE = "simulated centre"
CHEAP_SCRYPT = 2
DAY = "2026-03-02"
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class City:
    """A simulated centre before its first run, and what the auditor reads."""

    centre: Path
    deliveries: Path
    truth: Path


def simulate_city(folder: Path, *, seed: int, rows: int) -> City:
    """A new centre under ``folder`` with one simulated day of ``rows`` transactions and heavy faults."""
    centre = folder / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=CHEAP_SCRYPT)
    simulate_day(
        centre,
        date=date.fromisoformat(DAY),
        transactions=rows,
        seed=seed,
        faults="heavy",
        passphrase=PASSPHRASE,
    )
    deliveries = folder / "deliveries"
    shutil.copytree(centre / "inbox", deliveries)
    return City(centre, deliveries, folder / "centre.truth")


def run_engine(centre: Path, *, runs: int = 1) -> EngineResult:
    """Clear the inbox in ``runs`` runs, close every window, and read back what was decided and posted.

    The declared clock of the runs stands at arrival times spread over the deliveries; the last run takes the rest.
    """
    arrivals = _arrivals(centre / "inbox")
    steps = [arrivals[len(arrivals) * step // runs] for step in range(1, runs)]
    for now in [*steps, arrivals[-1]]:
        run_centre(centre, passphrase=PASSPHRASE, now=now)
    windows = [day_number(window) for (window,) in ask(centre, 'SELECT DISTINCT "window" FROM postings')]
    for window in range(min(windows), max(windows) + 1):
        after_cut_off = (window + 2) * DAY_SECONDS
        close_window(centre, date_of(window), passphrase=PASSPHRASE, now=max(after_cut_off, arrivals[-1]))
    return found_in(centre)


def receive_city(city: City) -> None:
    """Take in every delivery and clear none."""
    receive_centre(city.centre, passphrase=PASSPHRASE, now=_arrivals(city.deliveries)[-1])


def run_mutant(city: City, centre: Path, *disable: str) -> None:
    """Clear a copy of a city's centre without the ladder checks or posting templates named; all windows stay open."""
    now = _arrivals(city.deliveries)[-1]
    run_centre(centre, passphrase=PASSPHRASE, now=now, disabled=frozenset(disable))


def decided_in(centre: Path) -> EngineResult:
    """Files, rows and balances the ledger of a centre shows: all there is before a window is closed."""
    result = EngineResult()
    with published(centre) as ledger:
        _read_decided(result, ledger)
    return result


def _arrivals(inbox: Path) -> list[int]:
    manifests = [json.loads(path.read_bytes()) for path in inbox.glob("*.manifest.json")]
    return sorted(seconds_of(manifest["sent_at"]) for manifest in manifests)


def _day(value: date | int | None) -> int | None:
    """A day as the auditor counts it; the ledger shows dates."""
    return day_number(value) if isinstance(value, date) else value


def found_in(centre: Path) -> EngineResult:
    """What the ledger of a centre says."""
    result = EngineResult()
    with published(centre) as ledger:
        _read_decided(result, ledger)
        _read_closed(result, ledger)
    result.open_items = _open_items(centre)
    return result


def _rows_of(ledger: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    return ledger.execute(sql).fetchall()


def _read_decided(result: EngineResult, ledger: duckdb.DuckDBPyConnection) -> None:
    """Files, rows and balances."""
    result.files = dict(_rows_of(ledger, "SELECT file, outcome FROM files"))
    result.rows = _readable_rows(ledger) | _unreadable_rows(ledger)
    for window, kind, participant, source, fen in _rows_of(ledger, "FROM balances"):
        result.balances[day_number(window), kind, participant, source] = fen


def _read_closed(result: EngineResult, ledger: duckdb.DuckDBPyConnection) -> None:
    """What the closes of windows, bank and office left."""
    fees = 'SELECT "window", merchant, SUM(fen)::BIGINT FROM fees GROUP BY ALL'
    for window, merchant, fee in _rows_of(ledger, fees):
        result.fees[day_number(window), merchant] = fee
    positions = 'SELECT "window", participant, source, fen FROM positions'
    for window, participant, source, fen in _rows_of(ledger, positions):
        result.positions[day_number(window), participant, source] = fen
    for payment, direction, fen, pay_date, status in _rows_of(ledger, PAYMENTS):
        result.payments[payment] = (direction, fen, day_number(pay_date), status)
    unpaid = 'SELECT "window", participant, source, fen, reason FROM unpaid'
    for window, participant, source, *told in _rows_of(ledger, unpaid):
        result.unpaid[day_number(window), participant, source] = tuple(told)
    result.findings = set(_findings(ledger))
    uncovered = 'SELECT "window", service, participant, reason, "column", bills FROM uncovered'
    for window, *key, bills in _rows_of(ledger, uncovered):
        result.not_compared[day_number(window), *key] = bills
    result.bank_files = dict(_rows_of(ledger, "SELECT file, outcome FROM bank_files"))
    lines = (
        "SELECT file, line, payment, direction, fen, l.outcome, open FROM bank_lines l JOIN bank_files USING (entry)"
    )
    for file, number, *told in _rows_of(ledger, lines):
        result.bank_lines[file, number] = tuple(told)
    result.disputes = _disputes(ledger)


PAYMENTS = """
    SELECT p.payment, p.direction, p.fen, p.pay_date, s.status
    FROM payments p JOIN (SELECT payment, status FROM payment_status) s USING (payment)
"""


def _disputes(ledger: duckdb.DuckDBPyConnection) -> Counter[Any]:
    """Where disputes stand, by file and row of the transaction."""
    lines = _rows_of(
        ledger,
        """
        SELECT f.file, txn_id & 4294967295, state, fen, deadline
        FROM dispute_status JOIN files f ON f.file_no = txn_id >> 32
        """,
    )
    return Counter(((file, row), state, fen, _day(deadline)) for file, row, state, fen, deadline in lines)


def _open_items(centre: Path) -> dict[tuple[str, str, int, int], tuple[int, int]]:
    """What the report of the last closed window lists as open; entries behind an account are not counted."""
    [(last,)] = ask(centre, 'SELECT MAX("window") FROM windows')
    if last is None:
        return {}
    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        rows = store.records(sql_text("report/open_items"), {"date": last})
    found: dict[tuple[str, str, int, int], tuple[int, int]] = {}
    for row in rows:
        counted = row["rows"] if row["item"] in ("held", "grey", "payment", "bank_line") else 0
        found[row["item"], row["cause"], row["participant"], day_number(row["since"])] = (counted, row["fen"])
    return found


def _findings(ledger: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    """Findings as the auditor has them: by file and row instead of handle, by bill id."""
    lines = _rows_of(
        ledger,
        """
        SELECT x."window", f.file, x.txn_id & 4294967295, b.bill_id, field, mismatch, delivered, recomputed
        FROM findings x JOIN files f ON f.file_no = x.txn_id >> 32
        LEFT JOIN (SELECT DISTINCT txn_id, bill_no, bill_id FROM bills WHERE sign = 1 AND bill_paid = 1) b
            ON b.txn_id = x.txn_id AND b.bill_no = x.bill_no
        """,
    )
    for window, file, row, *rest in lines:
        yield (day_number(window), (file, row), *rest)


_STATUS = {int(each): each.name for each in ClearingStatus}
_DISPOSITION = {int(each): each.name for each in Disposition}
_TEMPLATE = {int(each): each.name for each in PostingTemplate}
_TAC_VERDICT = {int(each): each.name for each in TacVerdict} | {int(TacVerdict.NOT_CHECKED): "NOT_APPLICABLE"}
_PRICE_VERDICT = {int(each): each.name for each in PriceVerdict}


def _readable_rows(ledger: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], dict[str, Any]]:
    """The newest decision of every decoded row, enums by name; its window is that of the first one.

    In which window a later price posts shows in the balances.
    """
    lines = _rows_of(
        ledger,
        """
        SELECT f.file, txn_id & 4294967295, t.status, disposition, o."window", posting_template, tac_verdict,
            IF(txn_time IS NULL, NULL, operating_day), price_verdict, card_paid, overcharge, fund, fund_paid,
            operator_borne, cardholder_suspense
        FROM decisions t JOIN files f ON f.file_no = txn_id >> 32
        JOIN (SELECT txn_id, "window" FROM transactions WHERE event = 0) o USING (txn_id)
        """,
    )
    found = {}
    for file, source_row, status, disposition, window, template, tac, day, verdict, *payers in lines:
        names = ("card_paid", "overcharge", "fund", "fund_paid", "operator_borne", "suspense")
        found[file, source_row] = {
            "status": _STATUS[status],
            "disposition": _DISPOSITION[disposition],
            "window": _day(window),
            "template": _TEMPLATE[template],
            "tac_verdict": _TAC_VERDICT[tac],
            "operating_day": _day(day),
            "price_verdict": _PRICE_VERDICT[verdict],
            **dict(zip(names, payers, strict=True)),
        }
    return found


def _unreadable_rows(ledger: duckdb.DuckDBPyConnection) -> dict[tuple[str, int], dict[str, Any]]:
    lines = _rows_of(
        ledger,
        """
        SELECT file, txn_id & 4294967295, received_window FROM unreadable u JOIN files f ON f.file_no = txn_id >> 32
        """,
    )
    decided = {"status": "UNREADABLE", "disposition": "UNREADABLE", "template": "NONE"}
    return {(file, row): decided | {"window": _day(window)} for file, row, window in lines}
