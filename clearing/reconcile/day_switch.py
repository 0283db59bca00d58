"""The day does not switch while money or evidence does not tie: refused, or overridden by name and with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clearing import calendar
from clearing.centre import Centre
from clearing.errors import RefusedError
from clearing.people import Signature, check_signature, digest_of, load_key, sign
from clearing.reconcile.checks import CheckResult, run_checks
from clearing.reconcile.scope import newest_day
from clearing.store import Store

ENTRY_KIND = "override"
"""Journal kind of an override; it moves no money."""


@dataclass(frozen=True, slots=True)
class Override:
    """A reconciler who closes all the same, with the key to say so and the reason."""

    person: str
    key: Path
    reason: str


def refuse_day_switch(centre: Centre, store: Store, window: int, at: int, override: Override | None) -> None:
    """Let a window close only when every check that blocks passes in its day, or a person overrides what fails.

    The override is a journal entry of its own: window, checks with their rows, reason, person and signature.

    Raises:
        RefusedError: checks fail and nobody overrides them, or the person may not.
    """
    found = run_checks(
        store,
        centre.settings.reconciliation,
        ("blocks",),
        directory=centre.directory,
        scope=newest_day(store),
    )
    failed = [each for each in found if each.failed]
    if not failed:
        return
    if override is None:
        named = ", ".join(f"{each.check.name} ({each.rows} rows)" for each in failed)
        raise RefusedError(
            f"window {calendar.date_of(window)} does not tie: {named}",
            remedy="clearing reconcile shows the rows; correct them, or a reconciler overrides: --override REASON",
        )
    centre.journal.append(ENTRY_KIND, _signed(centre, window, at, failed, override), at=at, key=centre.signing)


def _signed(centre: Centre, window: int, at: int, failed: list[CheckResult], override: Override) -> dict[str, Any]:
    body = {
        "window": window,
        "checks": {each.check.name: each.rows for each in failed},
        "reason": override.reason,
    }
    signature = sign(
        centre.settings,
        load_key(override.key),
        person=override.person,
        role="reconciler",
        subject=ENTRY_KIND,
        digest=digest_of(body),
        on=calendar.date_of(at // calendar.SECONDS_PER_DAY),
    )
    return {**body, "signature": signature.as_json()}


def check_override(centre: Centre, body: dict[str, Any], at: int) -> str | None:
    """What is wrong with the signature of an override entry; None = nothing."""
    signature = Signature.from_json(body["signature"])
    said = {name: body[name] for name in ("window", "checks", "reason")}
    if signature.digest != digest_of(said) or signature.subject != ENTRY_KIND:
        return "the signature is not over this override"
    try:
        check_signature(centre.settings, signature, on=calendar.date_of(at // calendar.SECONDS_PER_DAY))
    except RefusedError as exc:
        return exc.what
    return None
