"""What the close recomputes: simulated mistakes are found exactly, a year goes on, and no money depends on it."""

from __future__ import annotations

import datetime
import json
import shutil
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from card_io.records import BILL_FIELDS, MEDICAL_FIELDS, NULL, Columns, Service
from clearing.calendar import date_of, day_number
from clearing.config import Settings, load_settings
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.pricing import PriceBook
from clearing.recompute import (
    FINDINGS_KEPT,
    Finding,
    Recomputation,
    finding_totals,
    kept_findings,
    medical_findings,
    medical_years,
    uncovered_totals,
    utility_findings,
)
from clearing.settlement import CloseSummary, close_window
from clearing.simulate import Fault, FaultLevel, simulate_day
from clearing.status import ClearingStatus
from clearing.store import Store
from clearing.verify import verify

DAY = datetime.date(2026, 3, 2)
ROWS = 5_000
PASSPHRASE = "recompute"
QUICK_SCRYPT = 1 << 4


@dataclass(frozen=True)
class Closed:
    """A simulated centre whose windows are closed."""

    centre: Path
    summaries: tuple[CloseSummary, ...]

    @property
    def truth(self) -> list[dict[str, Any]]:
        folder = self.centre.with_name(self.centre.name + ".truth")
        days = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*/truth.json"))]
        return [finding for day in days for finding in day["findings"]]

    def store(self) -> Store:
        return Store(self.centre / "ledger.duckdb", self.centre, read_only=True)

    def table(self, name: str) -> list[tuple[Any, ...]]:
        with self.store() as store:
            return sorted(store.run(f'SELECT * FROM "{name}"'), key=repr)


def simulate(centre: Path, level: FaultLevel, days: int) -> None:
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=QUICK_SCRYPT)
    for number in range(days):
        date = DAY + datetime.timedelta(days=number)
        simulate_day(centre, date=date, transactions=ROWS, seed=11, faults=level, passphrase=PASSPHRASE)


def close(centre: Path, windows: int) -> Closed:
    summaries = []
    for number in range(windows):
        date = DAY + datetime.timedelta(days=number)
        now = (day_number(date) + 1) * 86_400 + 5 * 3_600
        run_centre(centre, passphrase=PASSPHRASE, now=now)
        summaries.append(close_window(centre, date, passphrase=PASSPHRASE, now=now))
    return Closed(centre, tuple(summaries))


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with default faults, nothing cleared yet."""
    centre = tmp_path_factory.mktemp("default") / "centre"
    simulate(centre, "default", days=1)
    return centre


@pytest.fixture(scope="module")
def faulty(before: Path, tmp_path_factory: pytest.TempPathFactory) -> Closed:
    centre = tmp_path_factory.mktemp("faulty") / "centre"
    shutil.copytree(before, centre)
    shutil.copytree(before.with_name("centre.truth"), centre.with_name("centre.truth"))
    return close(centre, windows=2)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Closed:
    """Two days without faults."""
    centre = tmp_path_factory.mktemp("clean") / "centre"
    simulate(centre, "none", days=2)
    return close(centre, windows=2)


@pytest.fixture(scope="module")
def settings(before: Path) -> Settings:
    return load_settings(before)


@pytest.fixture(scope="module")
def book(before: Path, settings: Settings) -> PriceBook:
    return PriceBook.load(before, settings)


# --- simulated days -------------------------------------------------------------------------


def test_findings_are_the_simulators_mistakes_and_nothing_else(faulty: Closed) -> None:
    with faulty.store() as store:
        found = store.run(
            """
            SELECT f.file, x.txn_id & 4294967295, b.bill_id, x."window", x.field, x.mismatch, x.delivered,
                x.recomputed
            FROM findings x JOIN files f ON f.file_no = x.txn_id >> 32
            LEFT JOIN bills b ON b.txn_id = x.txn_id AND b.bill_no = x.bill_no
            """
        )
    names = ("file", "source_row", "bill_id", "window", "field", "mismatch", "delivered", "recomputed")
    true = [tuple(date_of(t[name]) if name == "window" else t[name] for name in names) for t in faulty.truth]

    assert sorted(found, key=repr) == sorted(true, key=repr)
    assert {line[4] for line in true} == {"hifp_pay", "psn_cash_pay", "bill_amount"}
    assert len(true) >= 40


def test_classes_are_counted_in_totals_and_in_the_view(faulty: Closed) -> None:
    with faulty.store() as store:
        totals = dict(store.run("SELECT mismatch, SUM(amounts)::BIGINT FROM finding_totals GROUP BY 1"))
        view = dict(
            store.run("SELECT mismatch, SUM(amounts)::BIGINT FROM mismatches WHERE service <> 'transit' GROUP BY 1")
        )
        fares = store.run("SELECT SUM(amounts)::BIGINT FROM mismatches WHERE service = 'transit'")
        verdicts = store.run("SELECT SUM(sign) FROM transit WHERE disposition = 1 AND price_verdict > 1")
        gas = store.run("SELECT SUM(bills) FROM uncovered WHERE participant = 613 AND reason = 'no_tariff'")
        unpriced = store.run("SELECT SUM(sign) FROM bills WHERE utility_id = 613 AND bill_paid = 1")
    true = Counter(finding["mismatch"] for finding in faulty.truth)

    assert totals == view == true
    assert len(true) == 4
    assert fares[0][0] == verdicts[0][0] > 20
    assert gas[0][0] == unpriced[0][0] > 20


def test_the_truth_lists_every_accepted_mistake(faulty: Closed) -> None:
    rows = pq.read_table(faulty.centre.with_name("centre.truth") / DAY.isoformat() / "rows.parquet").to_pylist()
    mistaken = int(Fault.MEDICAL_MISCALCULATED.bit | Fault.BILL_MISPRICED.bit)
    made = {
        (row["file"], row["source_row"])
        for row in rows
        if row["faults"] & mistaken and row["status"] == ClearingStatus.ACCEPTED
    }

    assert {(finding["file"], finding["source_row"]) for finding in faulty.truth} == made


def test_right_bills_of_two_days_have_no_findings(clean: Closed) -> None:
    assert clean.truth == []
    assert [summary.findings for summary in clean.summaries] == [[], []]
    for summary in clean.summaries:
        medical, utility = summary.recomputed
        assert medical["bills"] == medical["covered"] > 100
        assert utility["bills"] > utility["covered"] > 100  # gas has no tariff


def test_the_second_window_needs_the_first_ones_year(clean: Closed, settings: Settings, book: PriceBook) -> None:
    """Without the first day's bills, right settlements of the second would look wrong."""
    with clean.store() as store:
        rows = medical_years(store, DAY + datetime.timedelta(days=1), book)
    alone = {name: column[rows["judged"] == 1] for name, column in rows.items()}

    assert 0 < (rows["judged"] == 0).sum() < (rows["judged"] == 1).sum()
    assert medical_findings(rows, settings, book).findings == ()
    assert {finding.field for finding in medical_findings(alone, settings, book).findings} >= {"act_pay_dedc"}


def test_another_deductible_changes_findings_and_no_money(before: Path, faulty: Closed, tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    shutil.copytree(before, centre)
    tariff = centre / "tariffs" / "demo.medical.yaml"
    tariff.write_text(tariff.read_text("utf-8").replace("amount: 20000}", "amount: 25000}"), "utf-8")
    other = close(centre, windows=2)

    assert len(other.table("findings")) > len(faulty.table("findings"))
    for table in ("postings", "positions", "payments", "claims", "fees", "file_results"):
        assert other.table(table) == faulty.table(table)


def test_findings_are_sealed_and_shown(faulty: Closed) -> None:
    assert verify(faulty.centre, PASSPHRASE) == []
    summary = json.loads(json.dumps(asdict(faulty.summaries[0])))
    assert summary["findings"]
    assert sum(each["findings"] for each in summary["recomputed"]) == len(summary["findings"])
    assert {finding["tariff"] for finding in summary["findings"]} == {
        "demo.medical", "demo.water", "demo.electricity"
    }  # fmt: skip


# --- a person's year ------------------------------------------------------------------------


def visits(*changes: dict[str, int]) -> Columns:
    """Settlements of one employee at a first-level institution, 300.00 yuan of 甲 each and nothing consumed."""
    ordinary = {
        "txn_id": 0, "judged": 1, "card_id": 7, "region": 310400, "day": day_number(DAY), "institution": 5,
        "institution_level": 1, "insured_type": 1, "visit_kind": 1, "settlement_id": 0, "cancel": 0, "amount": 0,
        "category_a_amt": 30_000, "category_b_amt": 0, "category_c_amt": 0, "medfee_sumamt": 30_000,
        "fulamt_ownpay_amt": 0, "overlmt_selfpay": 0, "preselfpay_amt": 0, "inscp_scp_amt": 30_000,
        "act_pay_dedc": 30_000, "hifp_pay": 0, "cvlserv_pay": 0, "hifes_pay": 0, "hifmi_pay": 0, "hifob_pay": 0,
        "maf_pay": 0, "oth_pay": 0, "hosp_part_amt": 0, "acct_pay": 0, "acct_mulaid_pay": 0, "psn_cash_pay": 30_000,
        **{field.name: NULL for field in MEDICAL_FIELDS if field.optional},
    }  # fmt: skip
    rows = [{**ordinary, "txn_id": number, "settlement_id": number, **each} for number, each in enumerate(changes, 1)]
    return {name: np.array([row[name] for row in rows], np.int64) for name in ordinary}


SECOND = {"act_pay_dedc": 20_000, "hifp_pay": 8_000, "psn_cash_pay": 22_000}
"""The second visit uses up the deductible of 500.00 yuan; the fund bears 80 % of the other 100.00."""

THIRD = {"act_pay_dedc": 0, "hifp_pay": 24_000, "psn_cash_pay": 6_000}


def amounts(found: Recomputation) -> list[tuple[int, str, int, int]]:
    return [(each.txn_id, each.field, each.delivered, each.recomputed) for each in found.findings]


def test_the_deductible_is_consumed_once_in_a_year(settings: Settings, book: PriceBook) -> None:
    found = medical_findings(visits({}, SECOND, THIRD), settings, book)

    assert (found.bills, found.covered, amounts(found)) == (3, 3, [])


def test_a_wrong_bill_is_one_finding_and_no_echo(settings: Settings, book: PriceBook) -> None:
    wrong = {**SECOND, "hifp_pay": 8_001, "psn_cash_pay": 21_999}
    found = medical_findings(visits({}, wrong, THIRD), settings, book)

    assert amounts(found) == [(2, "hifp_pay", 8_001, 8_000), (2, "psn_cash_pay", 21_999, 22_000)]
    assert {(each.service, each.bill_no, each.tariff, each.rule) for each in found.findings} == {
        ("medical", None, "demo.medical", "share")
    }


def with_tolerance(settings: Settings, number: int, fen: int) -> Settings:
    participants = tuple(
        each.model_copy(update={"price_tolerance": fen}) if each.id == number else each
        for each in settings.participants
    )
    return settings.model_copy(update={"participants": participants})


@pytest.mark.parametrize(("tolerance", "tolerated", "found"), [(2, 0, 2), (3, 2, 0)])
def test_what_an_insurer_may_differ_by_is_counted_and_no_finding(
    tolerance: int, tolerated: int, found: int, settings: Settings, book: PriceBook
) -> None:
    wrong = {**SECOND, "hifp_pay": 8_003, "psn_cash_pay": 21_997}
    recomputed = medical_findings(visits({}, wrong, THIRD), with_tolerance(settings, 400, tolerance), book)

    assert (recomputed.covered, recomputed.tolerated, len(recomputed.findings)) == (3, tolerated, found)


@pytest.mark.parametrize(("error", "tolerated", "found"), [(-6, 0, 1), (-5, 1, 0), (5, 1, 0), (6, 0, 1), (0, 0, 0)])
def test_what_a_utility_may_differ_by_is_counted_and_no_finding(
    error: int, tolerated: int, found: int, settings: Settings, book: PriceBook
) -> None:
    recomputed = utility_findings(bills({"bill_amount": 50_000 + error}), with_tolerance(settings, 611, 5), book)

    assert (recomputed.tolerated, len(recomputed.findings)) == (tolerated, found)


def test_a_cancellation_gives_back_what_was_consumed(settings: Settings, book: PriceBook) -> None:
    cancelled = {"cancel": 1, "settlement_id": 1}
    assert amounts(medical_findings(visits({}, cancelled, {}, SECOND), settings, book)) == []
    # What was settled between settlement and cancellation still saw the deductible as consumed.
    assert amounts(medical_findings(visits({}, SECOND, cancelled, {}), settings, book)) == []
    kept = amounts(medical_findings(visits({}, cancelled, SECOND), settings, book))
    assert (3, "act_pay_dedc", 20_000, 30_000) in kept
    # One whose settlement is not among the accepted gives back nothing.
    assert amounts(medical_findings(visits({}, {"cancel": 1, "settlement_id": 77}, SECOND), settings, book)) == []


@pytest.mark.parametrize("change", [{"card_id": 8}, {"region": 310500}, {"day": day_number(DAY) - 365}])
def test_other_persons_insurers_and_years_consume_for_themselves(
    change: dict[str, int], settings: Settings, book: PriceBook
) -> None:
    assert amounts(medical_findings(visits(change, {}), settings, book)) == []


def test_the_fund_pays_up_to_the_cap(settings: Settings, book: PriceBook) -> None:
    earlier = {"judged": 0, "act_pay_dedc": 50_000, "hifp_pay": 790_000}
    capped = {**THIRD, "hifp_pay": 10_000, "psn_cash_pay": 20_000}

    assert amounts(medical_findings(visits(earlier, capped), settings, book)) == []
    assert {each.rule for each in medical_findings(visits(earlier, THIRD), settings, book).findings} == {"annual_cap"}


def test_what_other_payers_bear_is_taken_as_settled(settings: Settings, book: PriceBook) -> None:
    supplemented = {"cvlserv_pay": 5_000, "hosp_part_amt": 1_000, "acct_pay": 4_000, "psn_cash_pay": 20_000}

    assert amounts(medical_findings(visits(supplemented), settings, book)) == []


@pytest.mark.parametrize(
    "change",
    [{"category_a_amt": NULL}, {"insured_type": 3}, {"institution_level": 9}, {"region": 310500}, {"region": NULL}],
)
def test_what_no_tariff_covers_is_counted_and_not_compared(
    change: dict[str, int], settings: Settings, book: PriceBook
) -> None:
    found = medical_findings(visits({**change, "hifp_pay": 1}), settings, book)

    assert (found.bills, found.covered, found.findings) == (1, 0, ())


# --- an account's year ----------------------------------------------------------------------


def bills(*changes: dict[str, int]) -> Columns:
    """Bills of one water account with 100 m³ each: 5 yuan a m³ up to 180, then 7 up to 260, then 9."""
    ordinary = {
        "txn_id": 0, "bill_no": 0, "judged": 1, "utility_id": 611, "account": 5, "period": 202601,
        "household_size": 3, "usage": 100_000, "bill_amount": 50_000,
        **{field.name: NULL for field in BILL_FIELDS if field.optional},
    }  # fmt: skip
    rows = [{**ordinary, "txn_id": number, "bill_no": number, **each} for number, each in enumerate(changes, 1)]
    return {name: np.array([row[name] for row in rows], np.int64) for name in ordinary}


def test_tiers_go_on_through_the_year_and_begin_with_the_next(settings: Settings, book: PriceBook) -> None:
    last_year = {"period": 202512}
    second = {"period": 202602, "bill_amount": 80 * 500 + 20 * 700}
    third = {"period": 202603, "bill_amount": 60 * 700 + 40 * 900}
    found = utility_findings(bills(last_year, {}, second, third), settings, book)

    assert (found.bills, found.covered, amounts(found)) == (4, 4, [])


def test_a_bill_at_the_first_price_throughout_is_found(settings: Settings, book: PriceBook) -> None:
    [finding] = utility_findings(bills({"judged": 0}, {"period": 202602}), settings, book).findings

    assert finding == Finding(
        2, 2, "utility", 611, "bill_amount", "UNDERCHARGE", 0, 50_000, 54_000, "demo.water", "tiers[2]"
    )


def test_other_accounts_of_the_year_do_not_matter(settings: Settings, book: PriceBook) -> None:
    other = [{"account": 6}, {"utility_id": 612, "judged": 0}]
    assert amounts(utility_findings(bills(*other, {"period": 202602}), settings, book)) == []


@pytest.mark.parametrize("change", [{"utility_id": 613}, {"period": 202613}, {"usage": -1}, {"household_size": 0}])
def test_bills_without_a_price_are_counted_and_not_compared(
    change: dict[str, int], settings: Settings, book: PriceBook
) -> None:
    found = utility_findings(bills({**change, "bill_amount": 1}), settings, book)

    assert (found.bills, found.covered, found.findings) == (1, 0, ())


# --- parts ----------------------------------------------------------------------------------


def test_a_close_lists_the_first_findings_and_counts_all() -> None:
    finding = Finding(1, None, "medical", 400, "hifp_pay", "FUND_UNDERPAID", 411, 1, 3, "demo.medical", "share")
    many = Recomputation(Service.MEDICAL, 9, 9, 0, (finding,) * (FINDINGS_KEPT + 1), {(400, "lacks", "relation"): 4})

    assert len(kept_findings([many])) == FINDINGS_KEPT
    assert many.totals()["findings"] == FINDINGS_KEPT + 1
    assert finding_totals([many]) == [
        {"service": "medical", "participant": 400, "mismatch": "FUND_UNDERPAID", "field": "hifp_pay"}
        | {"amounts": FINDINGS_KEPT + 1, "over": 0, "under": 2 * (FINDINGS_KEPT + 1)}
    ]
    assert uncovered_totals([many]) == [
        {"service": "medical", "participant": 400, "reason": "lacks", "column": "relation", "bills": 4}
    ]
