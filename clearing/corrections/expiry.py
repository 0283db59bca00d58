"""Benefits that nobody picked up by their dated deadline: one proposal that gives all of them back to their funds."""

from __future__ import annotations

from pathlib import Path

from clearing.calendar import date_of
from clearing.corrections.commit import open_window
from clearing.corrections.rules import Item
from clearing.engine import declared_now, opened
from clearing.store import sql_text


def expired_benefits(directory: Path, *, passphrase: str, now: int | None = None, wait: float = 60.0) -> list[Item]:
    """A correction for every grant past the deadline of ``policy.benefit_expiry``; none without terms in force."""
    with opened(directory, passphrase, wait=wait, purpose="clearing adjust") as (centre, projection):
        window = open_window(centre, declared_now(centre, now))
        terms = [each for each in centre.settings.policy.benefit_expiry if each.covers(date_of(window))]
        if not terms:
            return []
        projection.refresh_if_stale(centre.journal)
        # Past the deadline is more than its days ago; and only closed windows are the persons'.
        last = max((entry.body["window"] for entry in centre.journal.of_kind("close")), default=-1)
        by = date_of(min(window - terms[0].after_days - 1, last))
        due = projection.store.run(sql_text("corrections/waiting_grants"), {"by": by})
    reason = f"not picked up within {terms[0].after_days} days"
    return [Item("BENEFIT_EXPIRED", reason, txn_id=txn_id) for (txn_id,) in due]
