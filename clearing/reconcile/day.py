"""The reconciliation of one business date: every check with its rows, open items by age, trust horizon of capture."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearing.config import load_settings
from clearing.reconcile.checks import CheckResult, Row, plain
from clearing.reconcile.latest import latest_checks
from clearing.report.facts import published_ledger
from clearing.store import Store, sql_text


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconciliation found.

    Attributes:
        date: business date; open items are those open up to it.
        checks: every check, switched-off ones included.
        open_items: what somebody has to work, oldest first (``report/open_items.sql``).
        horizon: trust horizon of capture (``report/trust_horizon.sql``).
    """

    date: datetime.date
    checks: list[CheckResult]
    open_items: list[Row]
    horizon: Row

    @property
    def failed(self) -> list[CheckResult]:
        """Checks that found wrong rows."""
        return [each for each in self.checks if each.failed]

    def as_json(self) -> dict[str, Any]:
        """The reconciliation as JSON values."""
        return {
            "date": self.date.isoformat(),
            "checks": [
                {
                    "name": each.check.name,
                    "severity": each.check.severity,
                    "owner": each.check.owner,
                    "zh": each.check.zh,
                    "en": each.check.en,
                    "state": "disabled" if each.rows is None else "failed" if each.rows else "passed",
                    "reason": each.reason,
                    "rows": each.rows,
                    "findings": each.findings,
                }
                for each in self.checks
            ],
            "open_items": [plain(row) for row in self.open_items],
            "horizon": plain(self.horizon),
        }


def reconcile(directory: Path, date: datetime.date, *, whole: bool = False) -> Reconciled:
    """Reconcile a business date from the published projection; ``whole``: every check looks at all of the ledger.

    Raises:
        ConfigError: ``centre.yaml`` cannot be used.
        ClearingError: the projection is missing or damaged.
    """
    settings = load_settings(directory)
    with published_ledger(directory) as store:
        return reconciled(store, latest_checks(store, directory, settings.reconciliation, date, whole=whole), date)


def reconciled(store: Store, checks: list[CheckResult], date: datetime.date) -> Reconciled:
    """Open items and horizon of a date beside the results of the checks."""
    return Reconciled(
        date,
        checks,
        store.records(sql_text("report/open_items"), {"date": date}),
        store.records(sql_text("report/trust_horizon"))[0],
    )
