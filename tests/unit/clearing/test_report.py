"""The documents say what the ledger says, in both languages, and carry neither card numbers nor foreign markup."""

from __future__ import annotations

import csv
import datetime
import io
import re
import shutil
import string
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from card_io.records import Service
from clearing.calendar import seconds_of
from clearing.engine import run_centre
from clearing.errors import ClearingError, RefusedError
from clearing.initialise import initialise_centre
from clearing.intake import Outcome
from clearing.posting import LEGS
from clearing.reconcile.checks import CHECKS
from clearing.report import charts, write_daily_report, write_statements
from clearing.report.messages import catalogue
from clearing.report.text import count, grouped, masked, yuan
from clearing.settlement import close_window
from clearing.simulate import simulate_day
from clearing.status import STATUS_TEXT, ClearingStatus, Disposition
from clearing.store import Store

DAY = datetime.date(2026, 3, 2)
PASSPHRASE = "correct horse"
CENTRES = ("open", "closed")
TOLERANCE = 120
"""Of the first bus company, fen: some overcharges lie within it, some do not."""

AFTER_CUT_OFF = seconds_of("2026-03-03T05:00:00")


class Tables(HTMLParser):
    """Cells of every table with an id, row by row; a small second line is parted from the first by a bar."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.classes: dict[str, list[list[str]]] = {}
        self._table: str | None = None
        self._in_cell = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self._table = given.get("id")
            if self._table:
                self.tables[self._table], self.classes[self._table] = [], []
        elif self._table and tag == "tr":
            self.tables[self._table].append([])
            self.classes[self._table].append([])
        elif self._table and tag in ("td", "th"):
            self.tables[self._table][-1].append("")
            self.classes[self._table][-1].append(given.get("class") or "")
            self._in_cell = True
        elif self._in_cell and tag == "small":
            self.tables[self._table or ""][-1][-1] += "|"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._table and self._in_cell:
            self.tables[self._table][-1][-1] += data.strip()


def fen(text: str) -> int:
    """The fen of a cell like ``-1,234.56``."""
    return int(text.replace(",", "").replace(".", ""))


def number(text: str) -> int:
    return int(text.replace(",", ""))


@pytest.fixture(scope="module")
def open_centre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated centre with a cleared day of an open window."""
    centre = tmp_path_factory.mktemp("report") / "open"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    settings = centre / "centre.yaml"
    tolerant = f"tariffs: {{bus: demo.bus}}, price_tolerance: {TOLERANCE}"
    settings.write_text(settings.read_text("utf-8").replace("tariffs: {bus: demo.bus}", tolerant, 1), "utf-8")
    simulate_day(centre, date=DAY, transactions=2_000, seed=7, faults="default", passphrase=PASSPHRASE)
    run_centre(centre, passphrase=PASSPHRASE, now=AFTER_CUT_OFF)
    return centre


@pytest.fixture(scope="module")
def closed_centre(open_centre: Path) -> Path:
    """The same day, its window closed."""
    centre = open_centre.with_name("closed")
    shutil.copytree(open_centre, centre)
    close_window(centre, DAY, passphrase=PASSPHRASE, now=AFTER_CUT_OFF)
    return centre


@pytest.fixture(scope="module")
def documents(open_centre: Path, closed_centre: Path) -> dict[str, str]:
    """Every document of both centres by its path below their common folder."""
    for centre in (open_centre, closed_centre):
        write_daily_report(centre, DAY)
        write_statements(centre, DAY)
    folder = open_centre.parent
    paths = [*folder.glob("*/reports/*/*"), *folder.glob("*/outbox/*/*.statement.*")]
    return {path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in paths}


@pytest.fixture(scope="module")
def report(documents: dict[str, str]) -> Tables:
    """The English report of the closed window."""
    return Tables(documents["closed/reports/2026-03-02/reconciliation.en.html"])


@pytest.fixture
def tampered(open_centre: Path, tmp_path: Path) -> Iterator[tuple[Path, Store]]:
    """A copy of the centre with its published ledger open for writing."""
    centre = tmp_path / "tampered"
    shutil.copytree(open_centre, centre)
    store = Store(centre / "ledger.duckdb", centre)
    yield centre, store
    store.close()


def ledger(centre: Path, sql: str) -> list[tuple[object, ...]]:
    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        return store.run(sql, {"day": DAY} if "$day" in sql else {})


def test_the_same_ledger_gives_the_same_bytes(closed_centre: Path, documents: dict[str, str]) -> None:
    paths = [*write_daily_report(closed_centre, DAY), *write_statements(closed_centre, DAY)]
    assert [path.name for path in paths[:2]] == ["reconciliation.zh.html", "reconciliation.en.html"]
    folder = closed_centre.parent
    assert all(path.read_text("utf-8") == documents[path.relative_to(folder).as_posix()] for path in paths)


def test_documents_need_nothing_from_outside_and_carry_no_card_number(documents: dict[str, str]) -> None:
    assert len(documents) > 40
    for name, text in documents.items():
        assert not re.search(r"<script|<link|<img|\ssrc=|\shref=|url\(|@import|https?://", text), name
        assert not re.search(r"\d{16,19}", text), name


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_status_sentence_appears(documents: dict[str, str], language: str) -> None:
    tables = Tables(documents[f"closed/reports/2026-03-02/reconciliation.{language}.html"]).tables
    shown = {row[0].split("|")[0] for row in tables["statuses"]}
    assert {getattr(text, language) for status, text in STATUS_TEXT.items() if status} <= shown


def test_control_totals_are_those_of_the_receipts(closed_centre: Path, report: Tables) -> None:
    rows = report.tables["files"]
    per_file = dict(
        ledger(closed_centre, "SELECT file_no, SUM(rows)::BIGINT FROM file_results GROUP BY file_no")
    )  # every file of this centre belongs to the one business date
    files = rows[1:-1]
    assert len(files) == len(per_file)
    for row in files:
        number_of_file = int(re.findall(r"№ (\d+)", row[0])[0])
        received, *ends, difference = [cell.split("|") for cell in row[1:]]
        assert number(received[0]) == per_file[number_of_file] == sum(number(end[0]) for end in ends)
        assert fen(received[1]) == sum(fen(end[1]) for end in ends)
        assert difference == ["0", "0.00"]
    assert number(rows[-1][1].split("|")[0]) == sum(per_file.values())


def test_statuses_are_the_current_decisions_of_the_window(closed_centre: Path, report: Tables) -> None:
    shown = {
        (row[0].split()[-1], row[1].upper()): number(row[2])
        for row in report.tables["statuses"][1:-1]
        if row[2] != "0"
    }
    decided = ledger(
        closed_centre,
        """SELECT s.name, d.name, COUNT(*) FROM decisions t JOIN statuses s USING (status)
           JOIN dispositions d USING (disposition) WHERE t."window" = $day GROUP BY ALL""",
    )
    unreadable = ledger(closed_centre, "SELECT COUNT(*) FROM unreadable")[0][0]
    assert shown == {
        **{(name, disposition): rows for name, disposition, rows in decided},
        ("UNREADABLE", "UNREADABLE"): unreadable,
    }


def test_the_bridge_leads_from_the_receipts_to_the_window(closed_centre: Path, report: Tables) -> None:
    received, pending, unreadable, later, before, window = [number(row[1]) for row in report.tables["bridge"][1:]]
    assert received - pending - unreadable - later + before == window
    assert window == ledger(closed_centre, 'SELECT COUNT(*) FROM decisions WHERE "window" = $day')[0][0]


def test_the_trial_balance_sums_to_zero_and_to_the_postings(closed_centre: Path, report: Tables) -> None:
    rows = report.tables["trial_balance"][1:]
    sums = [row for row in rows if row[0].startswith("Σ")]
    assert [(fen(row[1]), fen(row[-1])) for row in sums] == [(0, 0), (0, 0)]
    assert all(row[2] == row[3] for row in sums)
    shown = sorted(fen(row[-1]) for row in rows if not row[0].startswith("Σ"))
    posted = ledger(
        closed_centre,
        """SELECT SUM(fen)::BIGINT FROM postings WHERE "window" <= $day
           GROUP BY kind, source HAVING SUM(ABS(fen)) <> 0""",
    )
    assert shown == sorted(fen for (fen,) in posted)


def test_payees_agree_with_rows_fees_and_ledger(closed_centre: Path, report: Tables) -> None:
    *payees, total = report.tables["merchants"][1:]
    assert all(row[-1] == "0.00" for row in payees)
    assert fen(total[7]) == ledger(closed_centre, "SELECT SUM(fen)::BIGINT FROM fees")[0][0]
    payable = ledger(closed_centre, """SELECT SUM(fen)::BIGINT FROM postings WHERE kind = 'merchant_payable'""")
    assert fen(total[8]) == payable[0][0]
    by_source = [row for row in report.tables["payables"][1:] if not row[0].startswith("Σ") and len(row) == 3]
    assert fen(total[8]) * 2 == sum(fen(row[2]) for row in by_source) + sum(
        fen(row[2]) for row in report.tables["payables"][1:] if row[0].startswith("Σ")
    )


def test_every_claim_on_a_fund_has_its_evidence(closed_centre: Path, report: Tables) -> None:
    *claims, total = report.tables["fund_claims"][1:]
    assert claims
    assert all(row[-1] == "0.00" for row in claims)
    claimed = ledger(
        closed_centre,
        "SELECT -SUM(fen)::BIGINT FROM postings WHERE kind IN ('fund_receivable', 'insurer_receivable')",
    )
    assert fen(total[5]) == claimed[0][0]


def test_price_verdicts_are_those_of_the_rows(closed_centre: Path, report: Tables) -> None:
    """With the operator's tolerance, and what it overcharged within and beyond it."""
    rows = ledger(
        closed_centre,
        """
        SELECT SUM(sign), SUM(sign) FILTER (price_verdict = 1), SUM(sign) FILTER (price_verdict = 2),
            SUM(sign) FILTER (price_verdict = 3), SUM(sign) FILTER (price_verdict = 4),
            SUM(sign) FILTER (price_verdict = 5), SUM(sign * overcharge) FILTER (price_verdict = 1),
            SUM(sign * overcharge)
        FROM transit WHERE "window" = $day AND disposition = 1 AND merchant_id = 211
        """,
    )
    [bus] = [line for line in report.tables["verdicts"] if line[0] == "First bus company"]
    figures = [number(cell) for cell in bus[1:7]]

    assert bus[7] == f"{TOLERANCE // 100}.{TOLERANCE % 100:02d}"
    assert [*figures, fen(bus[8]), fen(bus[9])] == [value or 0 for value in rows[0]]
    assert 0 < fen(bus[8]) < fen(bus[9])


def test_recomputations_are_those_of_the_close(closed_centre: Path, report: Tables) -> None:
    """Bills by service, why some were not compared, and every class with its money."""
    recomputed = ledger(closed_centre, "SELECT bills, covered, bills - covered, tolerated, findings FROM recomputed")
    shown = [tuple(number(cell) for cell in line[1:]) for line in report.tables["recomputed"][1:]]
    assert sorted(shown) == sorted(recomputed)
    [gas] = report.tables["uncovered"][1:]
    assert gas[1:3] == ["Gas company", "No tariff"]
    classes = ledger(closed_centre, 'SELECT SUM(amounts), SUM("over"), SUM("under") FROM mismatches')
    lines = report.tables["mismatches"][1:]
    assert sum(number(line[4]) for line in lines) == classes[0][0]
    assert sum(fen(line[5]) for line in lines) == classes[0][1]
    assert sum(fen(line[6]) for line in lines if line[6] != "—") == classes[0][2]
    assert {line[2] for line in lines} >= {"Overcharged", "Undercharged", "Fund paid too much", "Class mismatch"}


def test_refused_deliveries_tell_reason_and_remedy(closed_centre: Path, report: Tables) -> None:
    refused = report.tables["refused"][1:]
    assert len(refused) == ledger(closed_centre, "SELECT COUNT(*) FROM files WHERE outcome <> 'received'")[0][0]
    assert all(reason.split("|")[0] and remedy for _, reason, remedy, *_ in refused)


def test_checks_are_all_shown_and_those_that_block_are_green(report: Tables) -> None:
    checks = report.tables["checks"][1:]
    assert [row[0].split("|")[1] for row in checks] == list(CHECKS)
    assert {row[2] for row in checks if row[1].startswith("blocks")} == {"✓ passed"}
    assert {row[2] for row in checks if row[1].startswith("warns")} == {"✓ passed", "! look"}


def test_an_open_window_says_so_and_shows_no_net(documents: dict[str, str]) -> None:
    for language, still_open, proposal in (
        ("zh", "窗口未关闭", "付款建议</h3>"),
        ("en", "Window still open", "Payment proposal</h3>"),
    ):
        texts = [documents[f"{centre}/reports/2026-03-02/reconciliation.{language}.html"] for centre in CENTRES]
        assert [still_open in text for text in texts] == [True, False]
        assert [proposal in text for text in texts] == [False, True]
        assert all("2026-03-03 05:00:00" in text for text in texts)
    statements = [documents[f"{centre}/outbox/201/2026-03-02.statement.html"] for centre in CENTRES]
    assert ["窗口未关闭" in text for text in statements] == [True, False]
    records = [documents[f"{centre}/outbox/201/2026-03-02.statement.csv"] for centre in CENTRES]
    assert ["\nposition," in text for text in records] == [False, True]


def test_a_line_that_does_not_tie_is_marked(tampered: tuple[Path, Store]) -> None:
    centre, store = tampered
    first = store.run("SELECT MIN(file_no) FROM file_results")[0][0]
    store.run("UPDATE file_results SET rows = rows + 1 WHERE file_no = $first AND status = 1", {"first": first})
    store.run("UPDATE postings SET fen = fen + 1 WHERE kind = 'merchant_payable' AND participant = 511")
    store.close()
    html = write_daily_report(centre, DAY, language="en")[0].read_text("utf-8")
    assert 'class="verdict bad"' in html
    tables = Tables(html)
    at = next(at for at, row in enumerate(tables.tables["files"]) if f"|№ {first} " in row[0])
    assert tables.tables["files"][at][-1] == "-1|0.00"
    assert "bad" in tables.classes["files"][at][-1]
    failed = {row[0].split("|")[1] for row in tables.tables["checks"] if row[2] == "✗ failed"}
    assert {"rows_have_one_end", "segments_match_files", "postings_balance", "segments_match_postings"} <= failed
    assert any("bad" in classes[-1] for classes in tables.classes["merchants"])


def test_hostile_names_are_escaped_and_long_numbers_masked(tampered: tuple[Path, Store]) -> None:
    centre, store = tampered
    hostile = '<script>alert("1")</script>&'
    store.run("UPDATE participants SET name_zh = $name, name_en = $name", {"name": hostile})
    store.run("UPDATE files SET file = '6217001234567890123.csv', reason = 'card 6217001234567890123 <b>'")
    store.close()
    for path in (*write_daily_report(centre, DAY), *write_statements(centre, DAY)):
        text = path.read_text("utf-8")
        assert "<script" not in text
        assert "<b>" not in text
        assert not re.search(r"\d{16}", text)
    assert "&lt;script&gt;" in text or path.suffix == ".csv"


def test_statements_say_what_the_ledger_holds_of_each_participant(closed_centre: Path) -> None:
    told: dict[tuple[str, int, int], int] = {}
    rows: Counter[int] = Counter()
    for path in write_statements(closed_centre, DAY):
        if path.suffix == ".csv":
            participant = int(path.parent.name)
            for record in csv.DictReader(io.StringIO(path.read_text("utf-8"))):
                if record["record"] in ("position", "payment") or record["code"] == "fee":
                    told[record["record"], participant, int(record["source"])] = int(record["fen"])
                rows[participant] += int(record["rows"] or 0)
    everyone = set(rows)
    held = [
        *ledger(closed_centre, "SELECT 'position', participant, source, fen FROM positions WHERE fen <> 0"),
        *ledger(closed_centre, "SELECT 'payment', participant, source, fen FROM payments"),
        *ledger(closed_centre, "SELECT 'fee', merchant, 0, SUM(fen)::BIGINT FROM fees GROUP BY merchant"),
    ]
    assert told == {(record, who, source): fen for record, who, source, fen in held if who in everyone}
    decided = """SELECT merchant_id, COUNT(*) FROM decisions WHERE "window" = $day AND merchant_id IN
                 (SELECT participant FROM participants) GROUP BY ALL"""
    assert +rows == dict(ledger(closed_centre, decided))
    paid = ledger(closed_centre, "SELECT DISTINCT participant FROM postings WHERE kind = 'merchant_payable'")
    assert {participant for (participant,) in paid} <= everyone


def test_a_day_without_rows_is_a_report_of_zeros(open_centre: Path) -> None:
    text = write_daily_report(open_centre, datetime.date(2026, 1, 1), language="en")[0].read_text("utf-8")
    assert 'class="verdict good"' in text
    assert write_statements(open_centre, datetime.date(2026, 1, 1)) == []


def test_without_a_ledger_the_remedy_is_named(open_centre: Path, tmp_path: Path) -> None:
    with pytest.raises(ClearingError, match="clearing rebuild"):
        write_daily_report(tmp_path, DAY)
    initialise_centre(tmp_path / "new", simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    run_centre(tmp_path / "new", passphrase=PASSPHRASE, now=AFTER_CUT_OFF)
    with pytest.raises(RefusedError, match="clearing run"):
        write_daily_report(tmp_path / "new", DAY)


def test_the_catalogue_is_complete_in_both_languages() -> None:
    for key, texts in catalogue().items():
        assert set(texts) == {"zh", "en"}, key
        fields = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in texts.values()]
        assert all(texts.values()), key
        assert fields[0] == fields[1], key
    keys = catalogue().keys()
    card_side = {"stored_value", "counterparty_receivable", "counterparty_payable", "fee_income"}
    kinds = {leg.kind for leg in LEGS if not leg.kind.startswith("card_side")} | card_side
    assert {f"account.{kind}" for kind in kinds} <= keys
    assert {f"service.{service.name.lower()}" for service in Service} <= keys
    assert {f"disposition.{disposition.name.lower()}" for disposition in Disposition} <= keys
    refused = [outcome for outcome in Outcome if outcome is not Outcome.RECEIVED]
    assert {f"{group}.{outcome}" for group in ("outcome", "remedy") for outcome in refused} <= keys
    assert set(STATUS_TEXT) == set(ClearingStatus)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123456, "1,234.56"), (-100000000, "-1,000,000.00"), (None, "—")],
)
def test_yuan(amount: int | None, text: str) -> None:
    assert yuan(amount) == text


def test_figures_and_foreign_text() -> None:
    assert (count(1234567), count(None)) == ("1,234,567", "—")
    assert grouped("a1" * 10) == "a1a1a1a1 a1a1a1a1 a1a1"
    assert masked("file 6217001234567890123.csv") == "file …0123.csv"
    assert masked("123456789012345") == "123456789012345"
    assert masked(12) == 12


@pytest.mark.parametrize(
    ("maximum", "unit", "step"),
    [(0, 1, 1), (4, 1, 1), (5, 1, 2), (2100, 1, 1000), (99, 100, 100), (5 * 10**8, 100, 2 * 10**8)],
)
def test_axis_steps(maximum: int, unit: int, step: int) -> None:
    assert charts.nice_step(maximum, unit) == step


def test_charts_escape_and_keep_small_shares_visible() -> None:
    series = [charts.Series("<a>", charts.BLUE, [10**9]), charts.Series("b", charts.ORANGE, [1])]
    bar = charts.share_bar("T & t", series, count)
    assert "&lt;a&gt;" in bar
    assert "T &amp; t" in bar
    assert "<a>" not in bar
    widths = [int(width) for width in re.findall(r'width="(\d+)" height="22"', bar)]
    assert widths == [641, 3]
    columns = charts.column_chart("t", ["<1>", "2"], [charts.Series("s", charts.BLUE, [0, 7])], count)
    assert "&lt;1&gt;" in columns
    assert charts.bar_chart("t", [], [], count)
