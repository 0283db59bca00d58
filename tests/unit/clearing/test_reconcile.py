"""Each check finds what it is for and nothing else: rows in, wrong rows out; and the whole on a simulated city."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from clearing.accounts import ACCOUNT_KINDS
from clearing.calendar import seconds_of
from clearing.centre import Centre
from clearing.cli import app
from clearing.config import load_settings
from clearing.engine import run_centre
from clearing.errors import ConfigError, RefusedError
from clearing.initialise import initialise_centre
from clearing.ledger.journal import Journal
from clearing.ledger.projection import _EMPTY_VIEWS
from clearing.people import ROLES
from clearing.reconcile.checks import CHECKS, run_check, run_checks
from clearing.reconcile.day import reconcile
from clearing.reconcile.day_switch import check_override
from clearing.reconcile.policy import Reconciliation
from clearing.reconcile.scope import WHOLE, Scope, prepared
from clearing.settlement import Proposer, close_window
from clearing.simulate import simulate_day
from clearing.store import Store, sql_text

PASSPHRASE = "reconcile"

CASES: dict[str, list[dict[str, Any]]] = yaml.load(
    Path(__file__).with_name("reconcile_cases.yaml").read_text("utf-8"), yaml.CSafeLoader
)

ORDINARY: dict[str, object] = {
    "txn_id": 1 << 32, "sign": 1, "event": 0, "test_flag": 0, "tac_verdict": 1, "disposition": 1, "status": 1,
    "window": "2026-03-02", "received_window": "2026-03-02", "operating_day": "2026-03-02", "issuer": 10,
    "merchant_id": 211, "purse_kind": 1, "txn_type": 6, "terminal_id": 7, "terminal_counter": 1, "card_id": 5,
    "card_counter": 1, "txn_time": "2026-03-02 08:00:00", "amount": 0, "card_paid": 0, "overcharge": 0, "fund": 0,
    "fund_paid": 0, "operator_borne": 0, "cardholder_suspense": 0, "posting_template": 0, "price_verdict": 1,
    "cancel": 0, "acct_pay": 0, "acct_mulaid_pay": 0, "granted": 0, "overdraft_limit": 0,
}  # fmt: skip
"""What a row says unless a case says otherwise."""

DEFAULTS: dict[str, dict[str, object]] = {
    "files": {
        "entry": 1, "file": "f", "outcome": "received", "received_at": "2026-03-02 20:00:00", "sequence": 1,
        "received_window": "2026-03-02", "content_root": "", "batch": 2, "sender": 210, "service": "transit",
        "file_date": "2026-03-02",
    },
    "file_results": {"file_no": 1, "status": 1, "disposition": 1},
    "journal": {"at": "2026-03-03 05:00:00", "engine": "", "previous": "", "digest": ""},
    "postings": {"entry": 2, "window": "2026-03-02", "source": 0},
    "windows": {"window": "2026-03-02", "entry": 3, "closed_at": "2026-03-03 05:00:00"},
    "fees": {"entry": 3, "window": "2026-03-02", "base": 0, "share": "centre"},
    "accrued_fees": {
        "entry": 3, "window": "2026-03-02", "merchant": 303, "schedule": "community", "issuer": 10, "card_paid": 0,
    },
    "month_fees": {
        "entry": 5, "window": "2026-03-31", "month": "2026-03-31", "merchant": 303, "schedule": "community",
    },
    "claims": {"entry": 3, "window": "2026-03-02", "merchant": 211},
    "positions": {"entry": 3, "window": "2026-03-02", "source": 0},
    "terminal_registers": {"terminal_id": 7, "refused": 0, "grey_rows": 0, "grey_fen": 0, "journal_digest": ""},
    "payments": {
        "entry": 3, "window": "2026-03-02", "payment": "P", "participant": 211, "source": 0, "direction": "pay",
        "fen": 100, "purpose": "settlement", "pay_date": "2026-03-03", "bank": 801, "from_source": 0,
        "account_number": "", "account_bank": "", "account_name": "",
    },
    "payment_events": {
        "entry": 3, "number": 1, "payment": "P", "at": "2026-03-03 05:00:00", "fen": 100, "reason": "",
        "reference": "",
    },
    "unpaid": {"entry": 3, "window": "2026-03-02", "participant": 211, "source": 0, "reason": "below_minimum"},
    "approvals": {"entry": 4, "subject": "P", "role": "approver", "digest": ""},
    "orders": {"entry": 5, "message": "M", "payment_count": 1, "collect_fen": 0},
    "bank_statements": {"entry": 6, "bank": 801, "source": 0, "statement": "S", "opening": 0},
    "bank_lines": {
        "entry": 6, "line": 1, "bank": 801, "source": 0, "payment": "", "direction": "credit", "fen": 100,
        "event": "", "reason": "", "reference": "",
    },
    "adjustments": {
        "entry": 7, "adjustment": "A-1", "window": "2026-03-02", "template": "REFUND", "fen": 100, "issuer": 10,
        "merchant": 211, "payer": 0, "payee": 0, "source": 0, "reason": "charged twice", "proposer": "wang",
        "approver": "li",
    },
    "disputes": {
        "entry": 8, "dispute": "D-1", "step": 1, "txn_id": 1 << 32, "window": "2026-03-02", "actor": "issuer",
        "action": "open", "code": "1001", "state": "open", "closed": False, "fen": 100, "reason": "not mine",
        "proposer": "wang", "approver": "li",
    },
    "card_states": {
        "entry": 9, "change": "S-1", "window": "2026-03-02", "card_id": 5, "state": "lost", "since": "2026-03-02",
        "reason": "hotline", "proposer": "wang", "approver": "li",
    },
    "correction_legs": {"entry": 7, "correction": "A-1", "txn_id": 1 << 32, "source": 0},
    "register_kinds": {"file_no": 1, "terminal_id": 7, "txn_type": 6},
}  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """An empty ledger whose services are tables, with reference rows."""
    folder = tmp_path_factory.mktemp("small")
    with Store(folder / "small.duckdb", folder) as store:
        store.script("schema")
        for name, view in _EMPTY_VIEWS.items():
            store.run(f"CREATE TABLE {'bills' if name == 'bill' else name} AS {view}")
        store.script("views")
        store.run("INSERT INTO participants VALUES (1, 'centre', '', '', 0, NULL), (10, 'issuer', '', '', 0, NULL)")
        store.run(
            "INSERT INTO participants VALUES (211, 'operator', '', '', 0, NULL), (701, 'agent', '', '', 0, NULL)"
        )
        store.run("INSERT INTO statuses VALUES (1, 'ACCEPTED', '', ''), (52, 'REPLAY', '', ''), (9, 'HELD', '', '')")
        for kind in ACCOUNT_KINDS.values():
            store.run(
                f"INSERT INTO account_kinds VALUES ('{kind.kind}', '{kind.account_class}', {kind.settled}, '', '')"
            )
        store.run(
            """INSERT INTO posting_templates VALUES
               (1, 0, 'merchant_payable', 'merchant_id', 'reserve', 'card_paid', 'credit'),
               (6, 0, 'pending_load', 'fund', 'fund', 'amount', 'debit')"""
        )
        yield store


@pytest.fixture
def small(empty: Store) -> Iterator[Store]:
    """The empty ledger; what a test puts in is taken back."""
    empty.run("BEGIN")
    yield empty
    empty.run("ROLLBACK")


def put(store: Store, table: str, row: dict[str, object]) -> None:
    """Insert a row; what it does not say is ordinary, or missing."""
    columns = [name for name, *_ in store.run(f"DESCRIBE {table}")]
    unknown = set(row) - set(columns)
    assert not unknown, f"{table} has no {unknown}"
    values = {
        **{k: v for k, v in ORDINARY.items() if table not in DEFAULTS and k in columns},
        **DEFAULTS.get(table, {}),
        **row,
    }
    names = ", ".join(f'"{name}"' for name in values)
    store.run(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f'${name}' for name in values)})", dict(values))


def found(store: Store, check: str, **limits: int) -> list[dict[str, Any]]:
    policy = Reconciliation(**{"uses": 3, "seconds": 60, "deadline_days": 3, **limits})  # type: ignore[arg-type]
    with prepared(store, Path(), WHOLE, CHECKS[check].reads):
        result = run_check(store, CHECKS[check], policy, kept=50)
    assert result.rows == len(result.findings)
    return result.findings


@pytest.mark.parametrize(
    ("check", "case"),
    [(check, case) for check, cases in CASES.items() for case in cases],
    ids=[f"{check}-{case['name']}" for check, cases in CASES.items() for case in cases],
)
def test_rows_in_wrong_rows_out(small: Store, check: str, case: dict[str, Any]) -> None:
    for table, rows in case["given"].items():
        for row in rows:
            put(small, table, row)
    answer = found(small, check)
    wanted = case["wrong"]

    assert len(answer) == len(wanted), answer
    for row, expected in zip(answer, wanted, strict=True):
        assert {name: row[name] for name in expected} == expected


SERVICES = ("transit", "retail", "utility", "load", "benefit", "medical")


def folder_of(store: Store) -> Path:
    """The centre's folder of a ledger."""
    return Path(store.run("SELECT current_setting('file_search_path')")[0][0])


def put_day(store: Store, given: dict[str, Any], entries: int, segment: int) -> None:
    """Put a case's rows as of a later day: its entries moved by ``entries``, its rows in a segment, too."""
    for table, rows in given.items():
        shift = ["entry", *{"journal": ["sequence"], "files": ["batch"]}.get(table, [])]
        for row in rows:
            values = {**DEFAULTS.get(table, {}), **row}
            put(store, table, {**row, **{k: values[k] + entries for k in shift if k in values}})
        if table in SERVICES and rows:
            folder = folder_of(store) / "segments" / table
            folder.mkdir(parents=True, exist_ok=True)
            ids = ", ".join(str(row.get("txn_id", ORDINARY["txn_id"])) for row in rows)
            name = f"{segment}-{store.run('SELECT COUNT(*) FROM segments')[0][0]}.parquet"
            store.run(
                f"""COPY (SELECT * FROM {table} WHERE txn_id IN ({ids})) TO '{folder / name}' (FORMAT parquet)"""
            )
            store.run(
                "INSERT INTO segments VALUES ($entry, $name, 1, '')", {"entry": segment, "name": f"{table}/{name}"}
            )


def found_by_the_day(store: Store, check: str, after: int, name: str) -> list[dict[str, Any]]:
    """What a check finds in the day behind entry ``after``."""
    policy = Reconciliation(uses=3, seconds=60, deadline_days=3)
    scope = Scope(after, name)
    with prepared(store, folder_of(store) / "work" / "checks", scope, CHECKS[check].reads):
        return run_check(store, CHECKS[check], policy, scope, kept=50).findings


READ_BY_DAY = [(c, case) for c in CHECKS if CHECKS[c].scope in ("new", "carried") for case in CASES[c]]


@pytest.mark.parametrize(("check", "case"), READ_BY_DAY, ids=[f"{c}-{case['name']}" for c, case in READ_BY_DAY])
def test_the_day_finds_what_is_planted_in_it(small: Store, check: str, case: dict[str, Any]) -> None:
    """Every case as of the day behind the close at entry 10, then as of the next: only what is carried is seen."""
    put_day(small, case["given"], entries=10, segment=12)
    ours = f"{check}-{case['name']}"
    of_the_day = found_by_the_day(small, check, 10, ours)

    assert of_the_day == found(small, check)
    assert len(of_the_day) == len(case["wrong"])
    # A break of a balance chain is of its day; what is open, and orders less fees, stay on the list of every day.
    stays = CHECKS[check].scope == "carried" and check != "card_balance_continuity"
    stays |= check == "order_totals" and case["name"] == "position_lacks_the_fee"
    if stays or of_the_day:
        assert found_by_the_day(small, check, 20, ours) == (of_the_day if stays else [])


CARRIED_CASES = [(c, case) for c, case in READ_BY_DAY if CHECKS[c].scope == "carried"]


@pytest.mark.parametrize(("check", "case"), CARRIED_CASES, ids=[f"{c}-{case['name']}" for c, case in CARRIED_CASES])
def test_a_day_goes_on_from_the_days_before(small: Store, check: str, case: dict[str, Any]) -> None:
    """The first row of each case one day, the others the next: what the second day finds is what everything finds."""
    rows = [(table, row) for table in SERVICES for row in case["given"].get(table, [])]
    rows.sort(key=lambda each: each[1].get("txn_time", "2026-03-02 08:00:00"))
    others = {table: given for table, given in case["given"].items() if table not in SERVICES}
    put_day(small, others, entries=0, segment=0)
    for day, part in ((1, rows[:1]), (2, rows[1:])):
        for table, row in part:
            put_day(small, {table: [row]}, entries=0, segment=10 * day + 2)
    ours = f"{check}-{case['name']}-parted"

    assert found_by_the_day(small, check, 20, ours) == found(small, check)
    assert len(found(small, check)) == len(case["wrong"])


SEGMENT_VIEWS = {*SERVICES, "bills", "unreadable", "service_rows", "transactions", "legs", "decisions", "postable"}


def test_every_check_declares_what_it_reads() -> None:
    """``ledger`` reads no row of a segment; what reads some goes by the day, or by what the days before left."""
    folder = Path(__file__).parents[3] / "clearing" / "ledger" / "sql"
    prepared_names = {path.stem for path in (folder / "prepared").glob("*.sql")} - {"nothing_earlier"}
    for check in CHECKS.values():
        sql = (folder / "checks" / f"{check.name}.sql").read_text("utf-8")
        words = set(re.findall(r"\b(?:FROM|JOIN)\s+(\w+)", sql))
        assert (words & prepared_names) - {"picked_up"} <= set(check.reads), check.name
        if check.scope == "ledger":
            assert not words & (SEGMENT_VIEWS | prepared_names), check.name
        else:
            assert words & (SEGMENT_VIEWS | prepared_names | {"reserve_terms"}), check.name


def test_every_check_has_a_case_that_passes_and_one_that_fails() -> None:
    for check in CHECKS:
        wrong = [bool(case["wrong"]) for case in CASES[check]]
        assert set(wrong) == {True, False}, check


def test_the_list_of_checks_is_the_folder_of_checks() -> None:
    folder = Path(__file__).parents[3] / "clearing" / "ledger" / "sql" / "checks"

    assert set(CHECKS) == {path.stem for path in folder.glob("*.sql")}
    assert all(check.zh and check.en and check.owner in ROLES for check in CHECKS.values())
    assert {check.severity for check in CHECKS.values()} == {"blocks", "warns"}


PROOF = {
    "stored_value": 100_000, "merchant_payable": 20_000, "held_back": 900, "counterparty_payable": 80,
    "suspense_payable": 30, "fee_income": 400, "own_funds": -300, "written_off": 7, "overdraft_loss": -3,
    "cardholder_payable": 50, "cardholder_suspense": 6, "refund_payable": 11, "provisional_credit": 13,
    "card_deposit": 2_000, "payment_in_transit": 5_000, "bank_difference": 17, "bank_account": -60_000,
    "agent_receivable": -50_000, "counterparty_receivable": -18_000, "dispute_receivable": -19,
    "provisional_receivable": -21, "overdraft": -23, "collection_in_transit": -100, "between_sources": 50,
    "bank_interest": 9, "bank_return": 8,
}  # fmt: skip
"""A reserve in which no term is zero; what these accounts do not balance is a benefit that a card picked up."""

PICKED_UP = sum(PROOF.values())


def reserve_terms() -> str:
    """The statement that makes the view of the proof's terms."""
    text = sql_text("views")
    return text[text.index("CREATE OR REPLACE VIEW picked_up") :]


@pytest.fixture
def proven(small: Store) -> Store:
    for kind, fen in PROOF.items():
        put(small, "postings", {"kind": kind, "participant": 10, "fen": fen})
    put(small, "load", {"fund": 901, "amount": PICKED_UP, "posting_template": 6})
    return small


def test_the_reserve_proof_holds_with_every_term(proven: Store) -> None:
    assert PICKED_UP > 0
    assert found(proven, "reserve_proof") == []


@pytest.mark.parametrize("kind", PROOF)
def test_a_proof_without_one_of_its_terms_fails(proven: Store, kind: str) -> None:
    """Mutants of the SQL: a kind renamed is a term removed, and the ledger that ties no longer does."""
    text = reserve_terms()
    assert text.count(f"'{kind}'") == 1
    proven.run(text.replace(f"'{kind}'", "'nothing'"))

    assert len(found(proven, "reserve_proof")) == 1


def test_a_proof_without_the_benefits_picked_up_fails(proven: Store) -> None:
    proven.run(reserve_terms().replace("SUM(l.sign * l.amount)", "SUM(0 * l.amount)"))

    assert len(found(proven, "reserve_proof")) == 1


def test_a_kind_of_the_reserve_nobody_placed_fails_the_proof(proven: Store) -> None:
    """One fen on an account that no term names, balanced by one that a term names."""
    put(proven, "postings", {"kind": "unheard_of", "participant": 10, "fen": 1})
    put(proven, "postings", {"kind": "stored_value", "participant": 10, "fen": -1})

    assert len(found(proven, "reserve_proof")) == 1


def test_a_slow_query_draws_no_bar_into_the_answer(empty: Store) -> None:
    assert empty.run("SELECT current_setting('enable_progress_bar')") == [(False,)]


def test_a_switched_off_check_stays_visible(small: Store) -> None:
    policy = Reconciliation(disabled={"doubtful_cards": "boarding of school classes, until June"})
    results = {each.check.name: each for each in run_checks(small, policy)}

    assert list(results) == list(CHECKS)
    off = results["doubtful_cards"]
    assert (off.rows, off.reason, off.failed) == (None, "boarding of school classes, until June", False)


@pytest.mark.parametrize("name", ["no_such_check", "reserve_proof"])
def test_what_blocks_or_is_unknown_cannot_be_switched_off(small: Store, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        run_checks(small, Reconciliation(disabled={name: "because"}))


def test_a_city_ties_and_its_faults_are_found(city: Path, city_day: datetime.date) -> None:
    answer = reconcile(city, city_day)
    failed = {each.check.name for each in answer.failed}

    assert {each.check.name for each in answer.checks if each.failed and each.check.severity == "blocks"} == set()
    assert {"card_counter_gaps", "terminal_counter_gaps", "stored_value_covered"} <= failed
    assert {row["item"] for row in answer.open_items} >= {
        "held",
        "suspense",
        "claim",
        "load_in_transit",
        "pending_load",
    }
    assert answer.open_items == sorted(answer.open_items, key=lambda row: -row["age_days"])
    assert answer.horizon["horizon"] <= answer.horizon["newest"]


def test_results_are_read_again_while_the_ledger_is_the_same(
    city: Path, tmp_path: Path, city_day: datetime.date, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest day finds nothing that everything does not find; a changed fen is another ledger."""
    centre = Path(shutil.copytree(city, tmp_path / "copy"))
    newest = city_day + datetime.timedelta(days=1)
    day, everything = reconcile(centre, newest), reconcile(centre, newest, whole=True)
    assert {each.check.name for each in day.failed} <= {each.check.name for each in everything.failed}
    assert [each.rows for each in reconcile(centre, city_day).checks] == [each.rows for each in everything.checks]

    def not_again(*_: object, **__: object) -> None:
        raise AssertionError("the checks ran again")

    with monkeypatch.context() as patched:
        patched.setattr("clearing.reconcile.latest.run_checks", not_again)
        assert reconcile(centre, newest).checks == day.checks
        with pytest.raises(AssertionError, match="ran again"):
            reconcile(centre, newest, whole=True)
    with Store(centre / "ledger.duckdb", centre) as store:
        store.run("UPDATE postings SET fen = fen + 1 WHERE kind = 'stored_value' AND participant = 10")
    assert "reserve_proof" in {each.check.name for each in reconcile(centre, newest).failed}


def test_the_command_says_the_same_and_exits_with_findings(city: Path, city_day: datetime.date) -> None:
    answer = CliRunner().invoke(app, ["reconcile", str(city), "--date", str(city_day), "--json"])
    document = json.loads(answer.stdout)

    assert answer.exit_code == 1
    assert document == reconcile(city, city_day).as_json()
    for language in ("zh", "en"):
        shown = CliRunner().invoke(app, ["reconcile", str(city), "--date", str(city_day), "--language", language])
        assert shown.exit_code == 1
        assert all(check in shown.stdout.replace("\n", "") for check in ("reserve_proof", "card_counter_gaps"))


def test_one_fen_in_the_published_ledger_is_found(city: Path, tmp_path: Path, city_day: datetime.date) -> None:
    """Exactly the checks that look at the touched relation speak."""
    centre = Path(shutil.copytree(city, tmp_path / "copy"))
    with Store(centre / "ledger.duckdb", centre) as store:
        store.run("UPDATE postings SET fen = fen + 1 WHERE kind = 'agent_receivable' AND participant = 701")
    failed = {e.check.name for e in reconcile(centre, city_day).failed if e.check.severity == "blocks"}

    assert failed == {
        "postings_balance",
        "segments_match_postings",
        "positions_match_balances",
        "reserve_proof",
        "loads_tie",
        "payments_match_accounts",
    }


def test_the_day_does_not_switch_while_a_check_fails(tmp_path: Path) -> None:
    """A fen too much in the writer's database: the close is refused, and a reconciler's override is sealed."""
    centre = tmp_path / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    day = datetime.date(2026, 3, 2)
    simulate_day(centre, date=day, transactions=200, seed=3, faults="none", passphrase=PASSPHRASE)
    now = seconds_of("2026-03-03T05:00:00")
    run_centre(centre, passphrase=PASSPHRASE, now=now)
    with Store(centre / "work" / "ledger.duckdb", centre) as store:
        store.run("UPDATE file_results SET fen = fen + 1 WHERE file_no = 1 AND status = 1")
    settings = load_settings(centre)
    person = next(each for each in settings.people if "reconciler" in each.roles)
    key = next((tmp_path).rglob(f"{person.id}*"))

    with pytest.raises(RefusedError, match="fen_have_one_end"):
        close_window(centre, day, passphrase=PASSPHRASE, now=now)
    with pytest.raises(RefusedError, match="fen_have_one_end"):
        close_window(centre, day, passphrase=PASSPHRASE, now=now, proposer=Proposer(person.id, key))
    close_window(
        centre, day, passphrase=PASSPHRASE, now=now, proposer=Proposer(person.id, key), override="known, ticket 7"
    )

    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        rows = store.run('SELECT "check", rows, person, reason FROM overrides ORDER BY 1')
        closed = store.run("SELECT COUNT(*) FROM windows")
    assert ("fen_have_one_end", 1, person.id, "known, ticket 7") in rows
    assert closed == [(1,)]
    [entry] = Journal(centre / "journal").of_kind("override")
    opened = Centre.open(centre, PASSPHRASE)
    assert check_override(opened, entry.body, entry.at) is None
    assert check_override(opened, {**entry.body, "reason": "another"}, entry.at) is not None
