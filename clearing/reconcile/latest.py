"""The checks of the published ledger as it lies there: run once, read again by report, metrics and ``reconcile``.

Results are kept beside the SHA-256 of the database, the limits and the SQL they come from; a fen changed in the
published file is another file, and its checks run.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
from pathlib import Path
from typing import Any, Final

from clearing.durable import write_durably
from clearing.ledger.projection import PRIVATE_NAME
from clearing.reconcile.checks import CHECKS, FINDINGS_KEPT, CheckResult, run_checks
from clearing.reconcile.policy import Reconciliation
from clearing.reconcile.scope import CARRIED, FOLDER, WHOLE, Scope, newest_day
from clearing.store import Store, sql_text


def latest_checks(
    store: Store, directory: Path, policy: Reconciliation, date: datetime.date | None = None, *, whole: bool = False
) -> list[CheckResult]:
    """Every check with its wrong rows, over the newest day or over everything.

    Args:
        store: the published projection of the centre.
        directory: the centre.
        policy: its limits, and what it has switched off.
        date: the business date asked for, None for the newest; an earlier day than the newest is looked at with
            everything.
        whole: look at everything, and trust nothing that was kept.

    Raises:
        ConfigError: the policy switches off a check that is unknown or blocks.
        ClearingError: the database is damaged.
    """
    scope = WHOLE if whole else scope_of(store, date)
    place = directory / FOLDER / ("whole.json" if scope == WHOLE else "newest-day.json")
    key = _key(directory, policy, scope)
    if not whole and (known := _read(place, key)) is not None:
        return known
    found = run_checks(store, policy, directory=directory, scope=scope, kept=FINDINGS_KEPT)
    with contextlib.suppress(PermissionError):  # A reader who may not keep them runs them again.
        write_durably(place, json.dumps({"key": key, "checks": [_told(each) for each in found]}).encode())
    return found


def scope_of(store: Store, date: datetime.date | None) -> Scope:
    """The newest day's scope where ``date`` is of the newest day, else everything."""
    newest = newest_day(store)
    earlier = store.run('SELECT "window" FROM windows WHERE entry = $after', {"after": newest.after})
    return newest if date is None or not earlier or date > earlier[0][0] else WHOLE


_PREPARED: Final = sorted({*CARRIED, *(name for check in CHECKS.values() for name in check.reads)})
_SQL: Final = ("views", *(f"prepared/{name}" for name in _PREPARED), *(f"checks/{name}" for name in CHECKS))
_TEXTS: Final = hashlib.sha256("".join(map(sql_text, _SQL)).encode()).hexdigest()


def _key(directory: Path, policy: Reconciliation, scope: Scope) -> str:
    with (directory / PRIVATE_NAME).open("rb") as file:
        database = hashlib.file_digest(file, "sha256").hexdigest()
    said = f"{database} {_TEXTS} {scope.after} {scope.digest} {policy.model_dump_json()}"
    return hashlib.sha256(said.encode()).hexdigest()


def _told(result: CheckResult) -> dict[str, Any]:
    return {
        "name": result.check.name,
        "rows": result.rows,
        "findings": result.findings,
        "reason": result.reason,
    }


def _read(place: Path, key: str) -> list[CheckResult] | None:
    if not place.exists():
        return None
    known = json.loads(place.read_text("utf-8"))
    if known["key"] != key:
        return None
    return [CheckResult(CHECKS[e["name"]], e["rows"], e["findings"], e["reason"]) for e in known["checks"]]
