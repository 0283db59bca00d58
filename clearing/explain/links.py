"""Which other rows this one met: what stands in its place, yielded to it, contradicts it, or paid its bill."""

from __future__ import annotations

from collections.abc import Iterator

from clearing.caches import standing_of
from clearing.explain.evidence import Evidence, reference_of
from clearing.explain.model import Link
from clearing.identity import NO_KEY
from clearing.records import NO_LINK, Rows
from clearing.status import ClearingStatus


def links_of(row: Rows, evidence: Evidence) -> tuple[Link, ...]:
    """Links of one decided row with its identities."""
    return (
        *_stands_for(row, evidence),
        *_yielded_to(row, evidence),
        *_conflicts(row, evidence),
        *_paid_the_bills(row, evidence),
    )


def _stands_for(row: Rows, evidence: Evidence) -> Iterator[Link]:
    linked = int(row["linked_txn_id"][0])
    if linked != NO_LINK:
        status = evidence.decisions(linked)[-1].rows["status"][0]
        yield Link("stands_for_it", linked, reference_of(linked), ClearingStatus(status).name, "identity")


def _yielded_to(row: Rows, evidence: Evidence) -> Iterator[Link]:
    yielded = evidence.store.run(
        "SELECT txn_id, arg_max(status, event) FROM transactions WHERE linked_txn_id = $txn AND sign = 1"
        " GROUP BY txn_id ORDER BY txn_id",
        {"txn": int(row["txn_id"][0])},
    )
    for txn_id, status in yielded:
        yield Link("yielded_to_it", txn_id, reference_of(txn_id), ClearingStatus(status).name, "identity")


def _conflicts(row: Rows, evidence: Evidence) -> Iterator[Link]:
    """Rows of the card that competed and share identity, counter or service key with this one."""
    if not len(standing_of(row)):
        return
    found: dict[int, Link] = {}
    for stored in evidence.rows("card_id", int(row["card_id"][0])):
        others = standing_of(stored.rows)
        for at in range(len(others)):
            txn_id, shared = int(others["txn_id"][at]), _shared(row, others, at)
            status = ClearingStatus(others["status"][at])
            if shared and txn_id != row["txn_id"][0] and status not in _REPEATS:
                found[txn_id] = Link("conflicts", txn_id, reference_of(txn_id), status.name, shared)
    yield from (found[txn_id] for txn_id in sorted(found))


_REPEATS = (ClearingStatus.DUPLICATE, ClearingStatus.REPLAY)


def _shared(row: Rows, others: Rows, at: int) -> str:
    if row["identity_lo"][0] == others["identity_lo"][at] and row["identity_hi"][0] == others["identity_hi"][at]:
        return "identity"
    for name in ("counter_key", "service_key"):
        if row[name][0] != NO_KEY and row[name][0] == others[name][at]:
            return name
    return ""


def _paid_the_bills(row: Rows, evidence: Evidence) -> Iterator[Link]:
    """Payments that had paid a bill of this row before it came."""
    bills = row.bills
    for at in range(len(bills["bill_row"])):
        if bills["bill_paid"][at]:
            continue
        utility, bill = int(bills["utility_id"][at]), int(bills["bill_id"][at])
        payers = evidence.store.run(
            "SELECT txn_id FROM bills WHERE utility_id = $utility AND bill_id = $bill AND bill_paid = 1"
            " GROUP BY txn_id HAVING SUM(sign) > 0",
            {"utility": utility, "bill": bill},
        )
        for (txn_id,) in payers:
            status = evidence.decisions(txn_id)[-1].rows["status"][0]
            shared = f"{utility}/{bill}"
            yield Link("paid_the_bill", txn_id, reference_of(txn_id), ClearingStatus(status).name, shared)
