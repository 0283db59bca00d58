"""Linked events: an earlier decision of a window that still takes rows, changed by what came later (rules §5).

The original row stays as it was decided; a reversal of it and a new decision are written, both linked by txn_id.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from card_io.records import Service
from clearing.caches import batch_rows
from clearing.centre import Centre
from clearing.decide import dispositions
from clearing.history import competitors_of
from clearing.posting import choose_templates
from clearing.records import Rows, concatenate
from clearing.replay import Competitors
from clearing.status import Disposition

_MONEY = ("gross", "card_paid", "overcharge", "fund", "fund_paid", "operator_borne", "cardholder_suspense")


def reopen(centre: Centre, changes: list[tuple[int, int, int]]) -> Iterator[tuple[Rows, Competitors]]:
    """Per service: reversals and new decisions of the changed rows, and what stands of them.

    Args:
        centre: the centre.
        changes: (txn_id, new status, linked txn_id), each transaction once.
    """
    wanted = {txn_id: (status, linked) for txn_id, status, linked in changes}
    newest: dict[int, Rows] = {}
    for entry in centre.journal.of_kind("batch"):
        for rows in batch_rows(centre, entry, tuple(Service)):
            current = np.flatnonzero(np.isin(rows["txn_id"], list(wanted)) & (rows["sign"] > 0))
            for at in current:
                party = centre.registers.parties.position(rows["merchant_id"][[at]]).astype(np.int32)
                newest[int(rows["txn_id"][at])] = rows.take(np.array([at])).with_columns(party=party)
    assert newest.keys() == wanted.keys(), "every transaction that stands lies in a segment"
    for service in sorted({rows.service for rows in newest.values()}):
        before = concatenate([rows for rows in newest.values() if rows.service is service])
        status = np.array([wanted[int(txn)][0] for txn in before["txn_id"]], np.int16)
        linked = np.array([wanted[int(txn)][1] for txn in before["txn_id"]], np.int64)
        after = decided_again(centre, before, status, linked)
        reversal = before.with_columns(sign=np.full(len(before), -1, np.int8), event=np.ones(len(before), np.uint8))
        standing = competitors_of(after)
        standing.stood[:] = status
        yield concatenate([reversal, after]), standing


def decided_again(centre: Centre, before: Rows, status: npt.NDArray[Any], linked: npt.NDArray[Any]) -> Rows:
    """The rows under a new status: nothing of their money stays but what the status says."""
    disposition = dispositions(before.service, status, centre.settings)
    accepted = disposition == Disposition.ACCEPTED
    rows = before.with_columns(
        status=status,
        disposition=disposition,
        linked_txn_id=linked,
        event=before["event"] + np.uint8(1),
        **{name: np.where(accepted, before[name], 0) for name in _MONEY},
    )
    if rows.service is Service.UTILITY:
        unpaid = np.zeros(len(rows.bills["bill_paid"]), np.uint8)
        rows = Rows(rows.service, rows.columns, {**rows.bills, "bill_paid": unpaid})
    return rows.with_columns(posting_template=choose_templates(rows, disposition))
