"""The textfile is one that Prometheus takes, and its values are the ledger's."""

from __future__ import annotations

import datetime
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from clearing.calendar import seconds_of
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.metrics import write_metrics
from clearing.run_summary import RunSummary
from clearing.settlement import close_window
from clearing.simulate import simulate_day
from clearing.store import Store

DAY = datetime.date(2026, 3, 2)
NOW = "2026-03-03T05:00:00"
PASSPHRASE = "correct horse"

Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(path: Path) -> Samples:
    """Value by (name, label values in order of label names)."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(path.read_text("utf-8"))
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunSummary]:
    """A simulated centre after its first run."""
    centre = tmp_path_factory.mktemp("metrics") / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    simulate_day(centre, date=DAY, transactions=1_000, seed=3, faults="default", passphrase=PASSPHRASE)
    return centre, run_centre(centre, passphrase=PASSPHRASE, now=seconds_of(NOW))


@pytest.fixture
def copied(ran: tuple[Path, RunSummary], tmp_path: Path) -> Path:
    """A copy of the centre to spoil."""
    return Path(shutil.copytree(ran[0], tmp_path / "copy"))


def ledger(centre: Path, sql: str) -> list[tuple[object, ...]]:
    with Store(centre / "ledger.duckdb", centre, read_only=True) as store:
        return store.run(sql)


def test_promtool_finds_nothing_to_say(ran: tuple[Path, RunSummary]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    for summary in (ran[1], None):
        content = write_metrics(ran[0], summary).read_bytes()
        answer = subprocess.run([promtool, "check", "metrics"], input=content, capture_output=True, check=False)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, b"", b"")


def test_values_equal_the_ledgers(ran: tuple[Path, RunSummary]) -> None:
    centre, summary = ran
    found = samples(write_metrics(centre, summary))
    receipts = ledger(
        centre,
        """SELECT service, s.name, SUM(r.rows)::BIGINT, SUM(r.fen)::BIGINT FROM file_results r
           JOIN files USING (file_no) JOIN statuses s USING (status) GROUP BY ALL""",
    )
    assert len(receipts) > 20
    for service, status, rows, fen in receipts:
        assert found["citycard_rows_total", (service, status)] == rows
        assert found["citycard_amount_fen", (service, status)] == fen
    for outcome, files in ledger(centre, "SELECT outcome, COUNT(*) FROM files GROUP BY ALL"):
        assert found["citycard_files_total", (outcome,)] == files
    assert found["citycard_ledger_imbalance_fen", ()] == 0
    assert found["citycard_unprojected_entries", ()] == 0
    blocking = {
        value for (name, labels), value in found.items() if name == "citycard_check_rows" and "blocks" in labels
    }
    assert blocking == {0}


def test_a_run_tells_its_rows_stages_and_success(ran: tuple[Path, RunSummary]) -> None:
    centre, summary = ran
    before = datetime.datetime.now(datetime.UTC).timestamp()
    found = samples(write_metrics(centre, summary))
    assert found["citycard_run_rows", ()] == summary.rows
    assert found["citycard_waiting_files", ()] == len(summary.waiting)
    for stage, seconds in summary.seconds.items():
        assert found["citycard_stage_seconds", (stage.replace(" ", "_"),)] == pytest.approx(seconds)
    assert before - 1 <= found["citycard_last_success_timestamp_seconds", ()] <= before + 60


def test_without_a_run_the_last_success_is_the_newest_batch(ran: tuple[Path, RunSummary]) -> None:
    found = samples(write_metrics(ran[0], None))
    declared = datetime.datetime.fromisoformat(f"{NOW}+08:00").timestamp()
    assert found["citycard_last_success_timestamp_seconds", ()] == declared
    assert not any(name in ("citycard_run_rows", "citycard_stage_seconds") for name, _ in found)


def test_the_oldest_held_row_ages_by_the_declared_clock(ran: tuple[Path, RunSummary]) -> None:
    centre, _ = ran
    found = samples(write_metrics(centre, None))
    oldest = ledger(
        centre,
        """SELECT MIN(received_at) FROM files WHERE file_no IN
           (SELECT txn_id >> 32 FROM decisions JOIN dispositions d USING (disposition) WHERE d.name = 'HELD')""",
    )[0][0]
    assert isinstance(oldest, datetime.datetime)
    age = datetime.datetime.fromisoformat(NOW) - oldest
    assert found["citycard_oldest_held_age_seconds", ()] == age.total_seconds() > 0


def test_lateness_counts_from_the_cut_off(copied: Path) -> None:
    """The window of 2 March takes receipts until 04:00 of the 3rd; a simulated centre's clock is its newest entry."""
    found = samples(write_metrics(copied, None))
    assert found["citycard_open_window_late_seconds", ()] == 3600
    assert ("citycard_close_late_seconds", ()) not in found
    close_window(copied, DAY, passphrase=PASSPHRASE, now=seconds_of("2026-03-03T09:30:00"))
    found = samples(write_metrics(copied, None))
    assert found["citycard_close_late_seconds", ()] == 5.5 * 3600
    assert found["citycard_open_window_late_seconds", ()] == 0


def test_a_spoiled_ledger_shows(copied: Path) -> None:
    with Store(copied / "ledger.duckdb", copied) as store:
        store.run("UPDATE postings SET fen = fen + 7 WHERE kind = 'merchant_payable' AND participant = 511")
        store.run("DELETE FROM journal WHERE sequence = (SELECT MAX(sequence) FROM journal)")
    found = samples(write_metrics(copied, None))
    assert found["citycard_ledger_imbalance_fen", ()] > 0
    assert found["citycard_check_rows", ("postings_balance", "blocks")] > 0
    assert found["citycard_unprojected_entries", ()] == 1


def test_labels_are_closed_lists(ran: tuple[Path, RunSummary]) -> None:
    text = write_metrics(*ran).read_text("utf-8")
    labels = {
        label
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for label in sample.labels
    }
    assert labels == {"service", "status", "outcome", "check", "severity", "mismatch", "stage"}
    assert len(text.splitlines()) < 500


def test_the_textfile_replaces_itself_whole(ran: tuple[Path, RunSummary]) -> None:
    path = write_metrics(*ran)
    assert path == ran[0] / "metrics" / "clearing.prom"
    assert [each.name for each in path.parent.iterdir()] == ["clearing.prom"]


def test_a_centre_without_a_journal_has_metrics(tmp_path: Path) -> None:
    centre = tmp_path / "new"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    summary = run_centre(centre, passphrase=PASSPHRASE, now=seconds_of(NOW))
    found = samples(write_metrics(centre, summary))
    assert found["citycard_oldest_held_age_seconds", ()] == 0
    assert found["citycard_run_rows", ()] == 0
