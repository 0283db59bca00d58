"""The textfile a node exporter picks up: ``metrics/clearing.prom``. The one home of ``prometheus_client``.

Counters come from receipts and deliveries, which only ever grow; everything else is a gauge. Labels are closed lists
(service, status, outcome, check, mismatch, reason, stage), never a card, a file or a terminal.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, write_to_textfile
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clearing import calendar
from clearing.config import Settings, load_settings
from clearing.ledger.journal import Journal
from clearing.reconcile.checks import CheckResult
from clearing.reconcile.latest import latest_checks
from clearing.report.facts import published_ledger
from clearing.run_summary import RunSummary
from clearing.store import Store

TEXTFILE: Final = Path("metrics", "clearing.prom")

_CENTRE_ZONE: Final = datetime.timezone(datetime.timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What the published ledger says of the centre.

    Attributes:
        receipts: (service, status name, rows, fen) over all result receipts; fen is None without control totals.
        files: (outcome, deliveries) over all deliveries.
        mismatches: (service, class, amounts) that differ from the tariff beyond the tolerance.
        uncovered: (service, reason, bills) not compared with a tariff.
        checks: every check with its wrong rows of the newest day.
        imbalance_fen: Σ |Σ postings| over entries and windows.
        oldest_held_at: receipt of the oldest row still held, None when nothing is held.
        newest_at: time of the newest entry, None before the first.
        newest_batch_at: time of the newest batch, None before the first.
        projected: sequence of the newest projected entry.
        closed_late: from the cut-off of the newest closed window to its close, None before the first close.
        open_since: cut-off of the oldest window with money that nobody has closed, None without one.
    """

    receipts: list[tuple[str, str, int, int | None]]
    files: list[tuple[str, int]]
    mismatches: list[tuple[str, str, int]]
    uncovered: list[tuple[str, str, int]]
    checks: list[CheckResult]
    imbalance_fen: int
    oldest_held_at: datetime.datetime | None
    newest_at: datetime.datetime | None
    newest_batch_at: datetime.datetime | None
    projected: int
    closed_late: datetime.timedelta | None
    open_since: datetime.datetime | None


class LedgerCollector(Collector):
    """Metric families of one state of a centre, collected as often as asked."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return self._families


def write_metrics(directory: Path, summary: RunSummary | None) -> Path:
    """Write the textfile atomically and return its path.

    Args:
        directory: the centre.
        summary: the run that has just ended well; None when the ledger is looked at without a run, then the last
            success is the newest batch and no figures of a run are given.

    Raises:
        ConfigError: ``centre.yaml`` cannot be used.
        ClearingError: projection or journal are missing or damaged.
    """
    settings = load_settings(directory)
    with published_ledger(directory) as store:
        state = read_state(store, directory, settings)
    entries = len(Journal(directory / "journal", again=True).entries)
    declared = state.newest_at if settings.centre.simulated else None
    now = declared or _wall_time(calendar.wall_clock())
    registry = CollectorRegistry()
    families = [*ledger_families(state, entries, now), *run_families(state, summary)]
    registry.register(LedgerCollector(families))
    path = directory / TEXTFILE
    path.parent.mkdir(exist_ok=True)
    write_to_textfile(str(path), registry)
    return path


def read_state(store: Store, directory: Path, settings: Settings) -> LedgerState:
    """The state of a published ledger."""
    row = store.named("metrics/state")[0]
    closed_window, closed_at, open_window = row[5:]
    return LedgerState(
        receipts=[(service, status, rows, fen) for service, status, rows, fen in store.named("metrics/receipts")],
        files=[(outcome, files) for outcome, files in store.named("metrics/files")],
        mismatches=[(service, mismatch, amounts) for service, mismatch, amounts in store.named("metrics/mismatches")],
        uncovered=[(service, reason, bills) for service, reason, bills in store.named("metrics/uncovered")],
        checks=latest_checks(store, directory, settings.reconciliation),
        imbalance_fen=row[0],
        oldest_held_at=row[1],
        newest_at=row[2],
        newest_batch_at=row[3],
        projected=row[4],
        closed_late=None if closed_window is None else closed_at - _cut_off(closed_window, settings),
        open_since=None if open_window is None else _cut_off(open_window, settings),
    )


def _cut_off(window: datetime.date, settings: Settings) -> datetime.datetime:
    return _wall_time(calendar.cut_off_of(calendar.day_number(window), settings.calendar))


def ledger_families(state: LedgerState, entries: int, now: datetime.datetime) -> Iterator[Metric]:
    """Families that describe the ledger.

    Args:
        state: what the projection says.
        entries: number of journal entries, projected or not.
        now: wall time that ages are counted to; of a simulated centre its declared clock.
    """
    rows = CounterMetricFamily("citycard_rows", "Rows of result receipts.", labels=("service", "status"))
    fen = GaugeMetricFamily(
        "citycard_amount_fen", "Fen of result receipts; refunds are negative.", labels=("service", "status")
    )
    for service, status, number, amount in state.receipts:
        rows.add_metric((service, status), number)
        if amount is not None:
            fen.add_metric((service, status), amount)
    files = CounterMetricFamily("citycard_files", "Deliveries by outcome.", labels=("outcome",))
    for outcome, number in state.files:
        files.add_metric((outcome,), number)
    checks = GaugeMetricFamily(
        "citycard_check_rows", "Rows a check finds wrong in the newest day; 0 = passed.", labels=("check", "severity")
    )
    disabled = GaugeMetricFamily("citycard_check_disabled", "1 = the check is switched off.", labels=("check",))
    for each in state.checks:
        disabled.add_metric((each.check.name,), each.rows is None)
        if each.rows is not None:
            checks.add_metric((each.check.name, each.check.severity), each.rows)
    mismatches = GaugeMetricFamily(
        "citycard_mismatches",
        "Amounts that differ from the tariff beyond the tolerance, by class.",
        labels=("service", "mismatch"),
    )
    for service, mismatch, amounts in state.mismatches:
        mismatches.add_metric((service, mismatch), amounts)
    uncovered = GaugeMetricFamily(
        "citycard_uncovered_bills", "Settlements and bills no tariff could check.", labels=("service", "reason")
    )
    for service, reason, bills in state.uncovered:
        uncovered.add_metric((service, reason), bills)
    held = state.oldest_held_at
    age = 0 if held is None else (now - held).total_seconds()
    yield from (rows, fen, files, checks, disabled, mismatches, uncovered)
    yield _gauge(
        "citycard_ledger_imbalance_fen", "Postings that do not balance, in fen; must be 0.", state.imbalance_fen
    )
    yield _gauge("citycard_oldest_held_age_seconds", "Age of the oldest row still held; 0 = nothing is held.", age)
    yield _gauge("citycard_unprojected_entries", "Journal entries the projection lacks.", entries - state.projected)
    if state.closed_late is not None:
        yield _gauge(
            "citycard_close_late_seconds",
            "From its cut-off to the close of the newest closed window.",
            state.closed_late.total_seconds(),
        )
    waiting = 0 if state.open_since is None else max((now - state.open_since).total_seconds(), 0)
    yield _gauge(
        "citycard_open_window_late_seconds",
        "Past the cut-off of the oldest window with money that nobody has closed; 0 = none is due.",
        waiting,
    )


def run_families(state: LedgerState, summary: RunSummary | None) -> Iterator[Metric]:
    """Families that describe the last run."""
    success = state.newest_batch_at if summary is None else _wall_time(calendar.wall_clock())
    if success is not None:
        yield _gauge(
            "citycard_last_success_timestamp_seconds",
            "When a run last ended well, Unix time.",
            success.replace(tzinfo=_CENTRE_ZONE).timestamp(),
        )
    if summary is None:
        return
    yield _gauge("citycard_run_rows", "Rows the last run cleared.", summary.rows)
    yield _gauge("citycard_waiting_files", "Files in the inbox that no manifest claims.", len(summary.waiting))
    stages = GaugeMetricFamily("citycard_stage_seconds", "Wall seconds of the last run by stage.", labels=("stage",))
    for stage, seconds in summary.seconds.items():
        stages.add_metric((stage.replace(" ", "_"),), seconds)
    yield stages


def _gauge(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help_text, value=value)


def _wall_time(seconds: int) -> datetime.datetime:
    return datetime.datetime.fromisoformat(calendar.text_of(seconds))
