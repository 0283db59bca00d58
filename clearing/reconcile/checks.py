"""The checks: SQL files that return the rows that are wrong, with severity, owner and a sentence in both languages.

``checks.csv`` is the one list; each name in it is a file of ``ledger/sql/checks``. The same files run in tests, after
every run and close as metrics, in ``verify``, in ``clearing reconcile`` and on the report: over the newest day, or
over the whole ledger (:mod:`clearing.reconcile.scope`).
"""

from __future__ import annotations

import csv
import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal, cast

from clearing.errors import ConfigError
from clearing.people import Role
from clearing.reconcile.policy import Reconciliation
from clearing.reconcile.scope import FOLDER, WHOLE, Scope, prepared
from clearing.store import Store, sql_text

Severity = Literal["blocks", "warns"]
Reading = Literal["ledger", "new", "carried", "looked_up"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it says when it holds, how bad it is when it does not, and the role that works its rows.

    ``blocks``: money or evidence does not tie, the day does not switch. ``warns``: somebody has to look.

    What it reads: ``ledger`` the small tables of the ledger, all of them; ``new`` also the rows sealed since the
    close before the day; ``carried`` these and what earlier days left; ``looked_up`` the rows of the transactions
    that were corrected since, wherever they lie. ``reads`` names relations of ``ledger/sql/prepared``.
    """

    name: str
    severity: Severity
    owner: Role
    scope: Reading
    reads: tuple[str, ...]
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check found.

    Attributes:
        check: which.
        rows: number of wrong rows; 0 = passed, None = switched off.
        findings: the first of them, by column.
        reason: why it is switched off, None when it ran.
    """

    check: Check
    rows: int | None
    findings: list[Row] = field(default_factory=list)
    reason: str | None = None

    @property
    def failed(self) -> bool:
        """Whether it ran and found something."""
        return bool(self.rows)


def _load() -> dict[str, Check]:
    with files("clearing.reconcile").joinpath("checks.csv").open(encoding="utf-8") as file:
        return {
            row["name"]: Check(
                row["name"],
                cast(Severity, row["severity"]),
                cast(Role, row["owner"]),
                cast(Reading, row["scope"]),
                tuple(row["reads"].split()),
                row["zh"],
                row["en"],
            )
            for row in csv.DictReader(file)
        }


CHECKS: Final = _load()
"""Check by name, in the order in which documents list them."""

FINDINGS_KEPT: Final = 1000
"""Wrong rows of a check that are kept; all are counted."""


def run_checks(
    store: Store,
    policy: Reconciliation,
    severities: Iterable[Severity] = ("blocks", "warns"),
    *,
    directory: Path | None = None,
    scope: Scope = WHOLE,
    kept: int = 0,
) -> list[CheckResult]:
    """Run the checks of some severities over a projection.

    Args:
        store: the projection.
        policy: limits of the centre, and what it has switched off.
        severities: which checks.
        directory: the centre, where a scope that is not the whole finds what earlier days left.
        scope: which rows; everything unless given.
        kept: wrong rows to keep per check, in the order of their columns; 0 = count them only.

    Raises:
        ConfigError: the policy switches off a check that is unknown or blocks.
    """
    refuse_wrong_policy(policy)
    assert directory is not None or scope == WHOLE, "a day goes on from what earlier days left"
    wanted = [check for check in CHECKS.values() if check.severity in set(severities)]
    # Checks of rows that may lie anywhere come first: the day's rows hide the others then.
    first = [check for check in wanted if check.scope in ("ledger", "looked_up")]
    found = {check.name: run_check(store, check, policy, scope, kept=kept) for check in first}
    relations = tuple(dict.fromkeys(name for check in wanted for name in check.reads))
    then = [check for check in wanted if check.name not in found]
    texts = tuple(sql_text(f"checks/{check.name}") for check in then)
    with prepared(store, (directory or Path()) / FOLDER, scope, relations, texts):
        found |= {check.name: run_check(store, check, policy, scope, kept=kept) for check in then}
    return [found[check.name] for check in wanted]


def run_check(
    store: Store, check: Check, policy: Reconciliation, scope: Scope = WHOLE, *, kept: int = 0
) -> CheckResult:
    """Run one check; the connection is :func:`~clearing.reconcile.scope.prepared` for what it reads."""
    if check.name in policy.disabled:
        return CheckResult(check, None, reason=policy.disabled[check.name])
    sql = sql_text(f"checks/{check.name}").rstrip().removesuffix(";")
    values = {
        "uses": policy.uses,
        "seconds": policy.seconds,
        "days": policy.deadline_days,
        "after": scope.after,
    }
    parameters = {name: value for name, value in values.items() if f"${name}" in sql}
    if not kept:
        return CheckResult(check, store.run(f"SELECT COUNT(*) FROM ({sql})", parameters)[0][0])
    found = store.records(
        f"SELECT *, COUNT(*) OVER () AS rows_in_all FROM ({sql}) ORDER BY ALL LIMIT {kept}", parameters
    )
    rows = found[0]["rows_in_all"] if found else 0
    return CheckResult(check, rows, [plain(row, without="rows_in_all") for row in found])


_DATES: Final = (datetime.date, datetime.datetime)


def plain(row: Row, *, without: str = "") -> Row:
    """A row as JSON values: dates and times as text."""
    return {k: v.isoformat() if isinstance(v, _DATES) else v for k, v in row.items() if k != without}


def refuse_wrong_policy(policy: Reconciliation) -> None:
    """Refuse to switch off what there is not, or what blocks.

    Raises:
        ConfigError: naming the check and the remedy.
    """
    for name in policy.disabled:
        if name not in CHECKS:
            raise ConfigError(
                f"reconciliation.disabled: {name!r} is no check",
                where="centre.yaml",
                remedy=f"one of {', '.join(CHECKS)}",
            )
        if CHECKS[name].severity == "blocks":
            raise ConfigError(
                f"reconciliation.disabled: {name} blocks and cannot be switched off",
                where="centre.yaml",
                remedy="remove it; a person overrides it at the close, with a reason",
            )
