"""35,000 real Shenzhen records clear end to end: an agreed, unverified source of two CSV shapes and a JSON page.

The files go through inbox, profile, ladder, tariff, posting and segments of a centre; manifests are written and
signed here. What must come out is read from the source files by plain Python.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from shenzhen_sidecar import sidecar_of

import tariffs
from card_io.delivery import Manifest, write_manifest
from card_io.delivery.profile import PACKAGED
from card_io.keys.signature import SigningKey
from clearing.calendar import seconds_of
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.run_summary import RunSummary
from clearing.status import ClearingStatus, Disposition, PriceVerdict
from clearing.store import Store
from clearing.verify import verify, verify_by_recomputing

pytestmark = pytest.mark.external

PASSPHRASE = "shenzhen"
ISSUER, SENDER, STRANGER = 10, 7000, 7900
KEY = SigningKey(bytes(range(32)))
CSV_SENT, LATER_SENT, NOW = "2018-09-01T23:00:00", "2018-09-02T10:00:00", "2018-09-02T12:00:00"

COMPANIES = {
    "地铁一号线": 7001,
    "地铁二号线": 7002,
    "地铁三号线": 7003,
    "地铁四号线": 7004,
    "地铁五号线": 7005,
    "地铁七号线": 7007,
    "地铁九号线": 7009,
    "地铁十一号线": 7011,
    "巴士集团": 7021,
    "西部公共汽车": 7022,
    "金华南巴士": 7023,
    "华程交通": 7024,
    "横岗汽车运输": 7025,
}

KINDS = {"half": 1_034, "free": 558, "none": 86, "unflagged_transfer": 203}


@dataclass(frozen=True)
class Source:
    """One file of the data set: its bytes, its records as plain Python reads them, and its profile."""

    name: str
    profile: str
    data: bytes
    sequence: int
    sent_at: str

    @cached_property
    def records(self) -> list[dict[str, str]]:
        """The rows in file order; row n of the file is at n − 1."""
        if self.name.endswith(".json"):
            page: list[dict[str, str]] = json.loads(self.data)["data"]
            return page
        text = self.data.decode("gbk" if self.profile.endswith("-gbk") else "utf-8")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    @cached_property
    def sidecar(self) -> bytes:
        """The fare classes of its rows."""
        return sidecar_of(self.records, self.data)

    @property
    def fen(self) -> int:
        """Σ ``deal_money``."""
        return sum(int(record["deal_money"]) for record in self.records)

    def in_gbk(self, sequence: int, sent_at: str) -> Source:
        """The same records transcoded, under a name and a profile of their own."""
        data = self.data.decode("utf-8").encode("gbk")
        return Source(f"gbk-{self.name}", f"{self.profile}-gbk", data, sequence, sent_at)


@dataclass(frozen=True)
class Sources:
    """The three files."""

    small: Source
    large: Source
    page: Source

    @property
    def csv(self) -> tuple[Source, Source]:
        """Both CSV shapes."""
        return self.small, self.large

    @cached_property
    def rows(self) -> list[dict[str, str]]:
        """All 35,000 records."""
        return self.small.records + self.large.records


@pytest.fixture(scope="module")
def sources(shared_data: Path) -> Sources:
    folder = shared_data / "shenzhen-tong"

    def source(name: str, profile: str, sequence: int, sent_at: str) -> Source:
        return Source(name, profile, (folder / name).read_bytes(), sequence, sent_at)

    return Sources(
        source("szt_10000.csv", "szt-csv-10000", 1, CSV_SENT),
        source("szt_25000.csv", "szt-csv-25000", 2, CSV_SENT),
        source("page1x100.json", "szt-json-page", 3, LATER_SENT),
    )


def settings_of(*, sender: int) -> dict[str, Any]:
    """A centre whose merchants deliver through ``sender``; only SENDER has the agreement."""
    name = {"zh": "深圳", "en": "Shenzhen"}
    profile = yaml.load((PACKAGED / "szt-records.base.yaml").read_text("utf-8"), yaml.CSafeLoader)
    operators = [
        {
            "id": number,
            "kind": "operator",
            "sender": sender,
            "name": {"zh": company, "en": f"Operator {number}"},
            "tariffs": {"metro": "shenzhen.metro", "bus": "shenzhen.bus"},
            "terminals": "any",
        }
        for company, number in COMPANIES.items()
    ]
    return {
        "centre": {"id": 1, "name": name, "simulated": True, "threads": 2},
        "calendar": {
            "day_cut": "03:00:00",
            "cut_off": "04:00:00",
            "late_days_max": 30,
            "future_tolerance_seconds": 300,
        },
        "limits": dict.fromkeys(("transit", "medical", "utility", "retail", "load", "benefit"), 100_000),
        "blacklist_grace_seconds": 86_400,
        "participants": [
            {"id": 1, "kind": "centre", "name": name},
            {
                "id": ISSUER,
                "kind": "issuer",
                "name": name,
                "issuer_id": f"{profile['constants']['issuer_id']:016x}",
                "cards": "none",
                "algorithms": ["none"],
            },
            {"id": SENDER, "kind": "sender", "name": name, "services": ["transit"]},
            {"id": STRANGER, "kind": "sender", "name": name, "services": ["transit"]},
            *operators,
        ],
        "agreements": {
            "verification": [
                {
                    "sender": SENDER,
                    "service": "transit",
                    "issuer": ISSUER,
                    "from": "2018-08-31",
                    "to": "2018-12-31",
                    "allow": "unverified",
                    "classes": "sidecar",
                }
            ]
        },
    }


def make_centre(folder: Path, *, sender: int = SENDER) -> Path:
    """A centre with fresh keys, its own settings, the library's Shenzhen tariffs and GBK profiles."""
    initialise_centre(folder, simulated=True, passphrase=PASSPHRASE, scrypt_n=2**14)
    write_settings(folder, sender=sender)
    shutil.rmtree(folder / "tariffs")
    (folder / "tariffs").mkdir()
    for file in (Path(tariffs.__file__).parent / "library").glob("shenzhen.*.yaml"):
        shutil.copy(file, folder / "tariffs")
    keys = "".join(f"{each},{KEY.verify_key.to_hex()},2018-01-01,2018-12-31\n" for each in (SENDER, STRANGER))
    (folder / "registers" / "senders.csv").write_text(f"sender,public_key,valid_from,valid_to\n{keys}")
    profiles = folder / "profiles"
    profiles.mkdir(exist_ok=True)
    base = (PACKAGED / "szt-records.base.yaml").read_text("utf-8")
    (profiles / "szt-records-gbk.base.yaml").write_text(base.replace("encoding: utf-8", "encoding: gbk"), "utf-8")
    for shape in ("szt-csv-10000", "szt-csv-25000"):
        text = (PACKAGED / f"{shape}.yaml").read_text("utf-8")
        text = text.replace("base: szt-records", "base: szt-records-gbk")
        (profiles / f"{shape}-gbk.yaml").write_text(text, "utf-8")
    return folder


def write_settings(folder: Path, *, sender: int) -> None:
    text = yaml.safe_dump(settings_of(sender=sender), allow_unicode=True, sort_keys=False)
    (folder / "centre.yaml").write_text(text, "utf-8")


def deliver(centre: Path, source: Source, *, sender: int = SENDER, sidecar: bool = True) -> None:
    """Put a file, its sidecar and its signed manifest into the inbox."""
    inbox = centre / "inbox"
    (inbox / source.name).write_bytes(source.data)
    classes = source.sidecar if sidecar else None
    if classes is not None:
        (inbox / f"{source.name}.classes.csv").write_bytes(classes)
    manifest = Manifest(
        format_version=1,
        sender=sender,
        service="transit",
        file_date=source.sent_at[:10],
        sequence=source.sequence,
        file=source.name,
        format=source.profile,
        rows=len(source.records),
        amount_fen=source.fen,
        sha256=hashlib.sha256(source.data).hexdigest(),
        sent_at=source.sent_at,
        classes_sha256=None if classes is None else hashlib.sha256(classes).hexdigest(),
    )
    write_manifest(inbox, manifest.with_signature(KEY.sign))


def run(centre: Path, now: str = NOW) -> RunSummary:
    return run_centre(centre, passphrase=PASSPHRASE, now=seconds_of(now))


def outcomes(summary: RunSummary) -> dict[str, str]:
    return {each["file"]: each["outcome"] for each in summary.received}


def query(centre: Path, sql: str) -> list[tuple[Any, ...]]:
    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        return store.run(sql)


def decided(centre: Path, *columns: str) -> dict[str, dict[int, tuple[Any, ...]]]:
    """The chosen columns of every transit row's decision, by file name and source row."""
    listed = ", ".join(f't."{column}"' for column in columns)
    found: dict[str, dict[int, tuple[Any, ...]]] = defaultdict(dict)
    rows = query(
        centre,
        f"SELECT f.file, t.txn_id & 4294967295, {listed} FROM transit t JOIN files f ON f.file_no = t.txn_id >> 32",
    )
    for file, row, *values in rows:
        assert row not in found[file], "a row is decided once"
        found[file][row] = tuple(values)
    return found


def content_roots(centre: Path) -> dict[str, str]:
    return dict(query(centre, "SELECT file, content_root FROM files"))


def postings(centre: Path) -> dict[tuple[str, int, int], int]:
    """Σ credits − Σ debits by account, over all windows."""
    rows = query(centre, "SELECT kind, participant, source, SUM(fen)::BIGINT FROM postings GROUP BY ALL")
    return {(kind, participant, source): fen for kind, participant, source, fen in rows if fen}


def check_clean(centre: Path) -> None:
    assert verify(centre, PASSPHRASE) == []


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A centre before its first delivery; content roots compare only under the same card keys."""
    return make_centre(tmp_path_factory.mktemp("shenzhen") / "centre")


@pytest.fixture(scope="module")
def another(blank: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Makes further centres with the same keys."""
    return lambda: Path(shutil.copytree(blank, tmp_path_factory.mktemp("shenzhen") / "centre"))


@pytest.fixture(scope="module")
def cleared(another: Callable[[], Path], sources: Sources) -> tuple[Path, RunSummary]:
    """The centre after both CSV files, each with its sidecar."""
    centre = another()
    for source in sources.csv:
        deliver(centre, source)
    return centre, run(centre)


@pytest.fixture(scope="module")
def after_page(cleared: tuple[Path, RunSummary], sources: Sources, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of that centre after the JSON page, a business date later."""
    centre = Path(shutil.copytree(cleared[0], tmp_path_factory.mktemp("shenzhen") / "centre"))
    deliver(centre, sources.page)
    assert outcomes(run(centre)) == {"page1x100.json": "received"}
    return centre


def pairs(sources: Sources, found: dict[str, dict[int, tuple[Any, ...]]]) -> Iterator[tuple[dict[str, str], Any]]:
    """Each CSV record with what was decided of it."""
    for source in sources.csv:
        assert sorted(found[source.name]) == list(range(1, len(source.records) + 1))
        for row, record in enumerate(source.records, 1):
            yield record, found[source.name][row]


def test_sidecars_hold_the_four_classes_and_nothing_else(sources: Sources) -> None:
    words = [line.split(",")[2] for s in sources.csv for line in s.sidecar.decode().splitlines()[1:]]
    assert Counter(words) == KINDS
    assert sum(int(record["deal_value"]) > 0 for record in sources.rows) == 19_495 == 17_614 + len(words)


def test_both_files_are_taken_at_their_control_totals(cleared: tuple[Path, RunSummary], sources: Sources) -> None:
    centre, summary = cleared
    assert outcomes(summary) == {"szt_10000.csv": "received", "szt_25000.csv": "received"}
    assert summary.rows == 35_000
    files = query(centre, "SELECT file, rows, amount_fen FROM files ORDER BY file_no")
    assert files == [(s.name, len(s.records), s.fen) for s in sources.csv]
    ends = query(centre, "SELECT disposition, SUM(rows)::BIGINT, SUM(fen)::BIGINT FROM file_results GROUP BY 1")
    assert sorted(ends) == [(Disposition.ACCEPTED, 34_999, 4_299_460), (Disposition.DUPLICATE, 1, 0)]


def test_every_priced_row_matches_and_unflagged_transfers_are_a_reported_class(
    cleared: tuple[Path, RunSummary], sources: Sources, answered: Callable[[int], None]
) -> None:
    found = decided(cleared[0], "status", "amount", "card_paid", "overcharge", "gross", "price_verdict")
    verdicts: Counter[PriceVerdict] = Counter()
    for record, (status, amount, card_paid, overcharge, gross, verdict) in pairs(sources, found):
        if status == ClearingStatus.ACCEPTED:
            charged, fare = int(record["deal_money"]), int(record["deal_value"])
            assert (amount, card_paid, overcharge, gross) == (charged, charged, 0, fare), record
            verdicts[PriceVerdict(verdict)] += fare > 0
            assert fare or verdict == PriceVerdict.MATCH
    assert verdicts == {PriceVerdict.MATCH: 19_494 - 203, PriceVerdict.UNFLAGGED_TRANSFER: 203}
    answered(sum(verdicts.values()))
    of_sidecar = {
        (source.name, int(line.split(",")[1]))
        for source in sources.csv
        for line in source.sidecar.decode().splitlines()
        if line.endswith(",unflagged_transfer")
    }
    reported = {
        (file, row)
        for file, rows in found.items()
        for row, values in rows.items()
        if values[-1] == PriceVerdict.UNFLAGGED_TRANSFER
    }
    assert reported == of_sidecar


def test_operators_are_owed_their_own_totals(cleared: tuple[Path, RunSummary], sources: Sources) -> None:
    centre, _ = cleared
    owed: Counter[int] = Counter()
    borne: Counter[int] = Counter()
    found = decided(centre, "merchant_id", "status")
    for record, (merchant, status) in pairs(sources, found):
        assert merchant == COMPANIES[record["company_name"]]
        if status == ClearingStatus.ACCEPTED:
            owed[merchant] += int(record["deal_money"])
            borne[merchant] += int(record["deal_value"]) - int(record["deal_money"])
    paid = query(centre, "SELECT merchant_id, SUM(card_paid)::BIGINT FROM transit WHERE disposition = 1 GROUP BY 1")
    assert dict(paid) == dict(owed)
    assert set(owed) == set(COMPANIES.values())
    assert sum(owed.values()) == 4_299_460
    expected = {("merchant_payable", merchant, 0): fen for merchant, fen in owed.items()}
    expected |= {("operator_borne", merchant, 0): -fen for merchant, fen in borne.items()}
    expected[("stored_value", ISSUER, 0)] = -sum(owed.values())
    expected[("memo_contra", 1, 0)] = sum(borne.values())
    assert postings(centre) == {account: fen for account, fen in expected.items() if fen}


def test_entries_without_a_fare_are_accepted(cleared: tuple[Path, RunSummary], sources: Sources) -> None:
    found = decided(
        cleared[0], "disposition", "tac_verdict", "amount", "gross", "card_paid", "overcharge", "fund_paid",
        "operator_borne", "cardholder_suspense",
    )  # fmt: skip
    entries = [values for record, values in pairs(sources, found) if record["deal_value"] == "0"]
    assert len(entries) == 15_505
    assert {values[0] for values in entries} == {Disposition.ACCEPTED}
    assert {values[2:] for values in entries} == {(0,) * 7}


def test_a_file_of_entries_alone_posts_nothing(another: Callable[[], Path], sources: Sources) -> None:
    lines = sources.small.data.decode("utf-8").splitlines(keepends=True)
    kept = [line for line, r in zip(lines[1:], sources.small.records, strict=True) if r["deal_value"] == "0"]
    data = "".join([lines[0], *kept]).encode()
    centre = another()
    deliver(centre, Source("entries.csv", "szt-csv-10000", data, 1, CSV_SENT))
    summary = run(centre)
    assert summary.results == [[ClearingStatus.ACCEPTED, Disposition.ACCEPTED, len(kept), 0]]
    assert len(kept) == 9_360
    assert postings(centre) == {}
    check_clean(centre)


def test_the_one_exact_duplicate_is_set_aside(cleared: tuple[Path, RunSummary], sources: Sources) -> None:
    found = decided(cleared[0], "status", "disposition", "linked_txn_id", "card_paid", "operator_borne")
    aside = [
        (file, row, values)
        for file, rows in found.items()
        for row, values in rows.items()
        if values[0] != ClearingStatus.ACCEPTED
    ]
    [(file, row, (status, disposition, linked, card_paid, borne))] = aside
    assert (file, status, disposition) == ("szt_25000.csv", ClearingStatus.DUPLICATE, Disposition.DUPLICATE)
    assert (card_paid, borne) == (0, 0)
    records = sources.large.records
    assert records[row - 1] == records[(linked & 0xFFFFFFFF) - 1]
    assert (linked & 0xFFFFFFFF) < row
    assert found[file][linked & 0xFFFFFFFF][0] == ClearingStatus.ACCEPTED
    assert (records[row - 1]["deal_type"], records[row - 1]["deal_money"]) == ("巴士", "0")
    counted = Counter(tuple(sorted(record.items())) for record in records)
    assert [tuple(sorted(records[row - 1].items()))] == [key for key, times in counted.items() if times > 1]


def test_without_a_sidecar_the_rules_alone_give_17614(another: Callable[[], Path], sources: Sources) -> None:
    centre = another()
    for source in sources.csv:
        deliver(centre, source, sidecar=False)
    run(centre)
    found = decided(centre, "price_verdict")
    verdicts = Counter(
        PriceVerdict(verdict) for record, (verdict,) in pairs(sources, found) if int(record["deal_value"]) > 0
    )
    assert verdicts == {
        PriceVerdict.MATCH: 17_614,
        PriceVerdict.UNDERCHARGE: KINDS["half"] + KINDS["free"],
        PriceVerdict.OVERCHARGE: KINDS["none"],
        PriceVerdict.UNFLAGGED_TRANSFER: KINDS["unflagged_transfer"],
    }
    check_clean(centre)


def test_a_sidecar_cannot_hide_what_was_charged_too_much(another: Callable[[], Path], sources: Sources) -> None:
    at = next(n for n, r in enumerate(sources.small.records) if (r["deal_value"], r["deal_money"]) == ("400", "380"))
    lines = sources.small.data.decode().splitlines(keepends=True)
    source = Source("one.csv", "szt-csv-10000", (lines[0] + lines[at + 1]).encode(), 1, CSV_SENT)
    digest = hashlib.sha256(source.data).hexdigest()
    source.__dict__["sidecar"] = f"file_sha256,row,class\n{digest},1,unflagged_transfer\n".encode()
    centre = another()
    deliver(centre, source)
    run(centre)
    found = decided(centre, "status", "card_paid", "overcharge", "price_verdict")
    assert found["one.csv"] == {1: (ClearingStatus.ACCEPTED, 340, 40, PriceVerdict.OVERCHARGE)}


def test_only_the_sidecar_that_was_signed_counts(another: Callable[[], Path], sources: Sources) -> None:
    centre = another()
    deliver(centre, sources.small)
    classes = centre / "inbox" / f"{sources.small.name}.classes.csv"
    classes.write_bytes(classes.read_bytes().replace(b",half", b",free"))
    assert outcomes(run(centre)) == {sources.small.name: "hash_mismatch"}
    assert postings(centre) == {}


def test_the_json_page_brings_100_duplicates(
    cleared: tuple[Path, RunSummary], after_page: Path, sources: Sources
) -> None:
    assert json.loads(sources.page.data)["total"] == 1_337_000
    page = decided(after_page, "status", "disposition", "linked_txn_id", "terminal_id", "amount")[sources.page.name]
    assert len(page) == 100
    assert {values[:2] for values in page.values()} == {(ClearingStatus.DUPLICATE, Disposition.DUPLICATE)}
    first_file = {linked >> 32 for _, _, linked, _, _ in page.values()}
    assert first_file == {1}
    assert len({linked for _, _, linked, _, _ in page.values()}) == 100
    for row, (_, _, linked, _, _) in page.items():
        ours, theirs = sources.page.records[row - 1], sources.small.records[(linked & 0xFFFFFFFF) - 1]
        assert ours == {name: value for name, value in theirs.items() if name in ours}
    assert postings(after_page) == postings(cleared[0])


def test_missing_stations_in_three_spellings_are_one_null(after_page: Path, sources: Sources) -> None:
    found = decided(after_page, "entry_station", "exit_station", "line", "vehicle", "linked_txn_id")
    spellings = {sources.small: ("-", 369), sources.large: ("", 945), sources.page: (None, 2)}
    for source, (spelling, count) in spellings.items():
        missing = {row for row, r in enumerate(source.records, 1) if r.get("station") == spelling}
        nulls = {row for row, values in found[source.name].items() if values[:3] == (None, None, None)}
        assert nulls == missing
        assert len(missing) == count
        assert {found[source.name][row][3] for row in missing} == {None}
    for row, record in enumerate(sources.page.records, 1):
        if "station" not in record:
            original = sources.small.records[(found[sources.page.name][row][4] & 0xFFFFFFFF) - 1]
            assert original["station"] == original["car_no"] == "-"


def test_a_gbk_copy_clears_to_the_same_content_roots(
    cleared: tuple[Path, RunSummary], another: Callable[[], Path], sources: Sources
) -> None:
    centre = another()
    copies = [source.in_gbk(source.sequence, source.sent_at) for source in sources.csv]
    for source, copy in zip(sources.csv, copies, strict=True):
        assert copy.data != source.data
        deliver(centre, copy)
    summary = run(centre)
    assert outcomes(summary) == {copy.name: "received" for copy in copies}
    originals = content_roots(cleared[0])
    assert content_roots(centre) == {f"gbk-{name}": root for name, root in originals.items()}
    assert summary.content_roots == cleared[1].content_roots
    check_clean(centre)
    assert verify_by_recomputing(centre, PASSPHRASE) == []


def test_a_gbk_copy_of_a_cleared_file_goes_to_a_person(
    cleared: tuple[Path, RunSummary], sources: Sources, tmp_path: Path
) -> None:
    centre = Path(shutil.copytree(cleared[0], tmp_path / "centre"))
    copy = sources.small.in_gbk(9, LATER_SENT)
    deliver(centre, copy)
    assert outcomes(run(centre)) == {copy.name: "content_clash"}
    roots = content_roots(centre)
    assert roots[copy.name] == roots[sources.small.name]
    assert postings(centre) == postings(cleared[0])


def test_without_the_agreement_the_same_files_are_held_whole(another: Callable[[], Path], sources: Sources) -> None:
    centre = another()
    write_settings(centre, sender=STRANGER)
    for source in sources.csv:
        deliver(centre, source, sender=STRANGER)
    summary = run(centre)
    fen = sum(source.fen for source in sources.csv)
    assert summary.results == [[ClearingStatus.TAC_MISSING, Disposition.HELD, 35_000, fen]]
    accounts = postings(centre)
    assert {kind for kind, _, _ in accounts} == {"held_memo", "memo_contra"}
    assert accounts["memo_contra", 1, 0] == fen
    check_clean(centre)


def test_the_evidence_is_clean(after_page: Path) -> None:
    check_clean(after_page)
    assert verify_by_recomputing(after_page, PASSPHRASE) == []
