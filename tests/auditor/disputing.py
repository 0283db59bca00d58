"""Disputes (rules §15): who may do what in which state, what it posts, and until when the next may act."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from auditor.books import RESERVE
from auditor.correcting import Corrections, ObjectionError, Parties
from auditor.model import RowKey

FLOW_TEXT = """
- acquirer open 6001 > ABNORMAL_QUERIED . 15
ABNORMAL_QUERIED issuer answer 01 > CLOSED_NO_CHANGE . -
ABNORMAL_QUERIED issuer answer 02 > ABNORMAL_REFUSED . 15
ABNORMAL_QUERIED centre lapse - > ABNORMAL_REFUSED . 15
ABNORMAL_REFUSED acquirer negotiate 4005,4007 > SURPLUS_ASKED . 15
ABNORMAL_REFUSED centre lapse - > CLOSED_NO_CHANGE . -
SURPLUS_ASKED issuer answer 01 > SURPLUS_OWED . 15
SURPLUS_ASKED issuer answer 02 > CLOSED_NO_CHANGE . -
SURPLUS_ASKED centre lapse - > CLOSED_NO_CHANGE . -
SURPLUS_OWED issuer adjust 5005,5008 > CLOSED_SURPLUS_RETURNED SURPLUS -
SURPLUS_OWED centre lapse - > CLOSED_SURPLUS_RETURNED SURPLUS -
- issuer open 1001,1005 > QUERIED PROVISIONAL_CREDIT 15
QUERIED acquirer answer 01,02,03 > QUERY_ANSWERED . 15
QUERIED issuer query 1002,1006 > QUERIED_AGAIN . 15
QUERIED centre lapse - > CLOSED_NO_CHANGE PROVISIONAL_TAKEN_BACK -
QUERY_ANSWERED issuer query 1002,1006 > QUERIED_AGAIN . 15
QUERY_ANSWERED issuer withdraw - > CLOSED_NO_CHANGE PROVISIONAL_TAKEN_BACK -
QUERY_ANSWERED centre lapse - > CLOSED_NO_CHANGE PROVISIONAL_TAKEN_BACK -
QUERIED_AGAIN acquirer answer 01 > FOUND_RIGHT . 15
QUERIED_AGAIN acquirer answer 02 > CREDIT_OWED . 15
QUERIED_AGAIN acquirer answer 03 > CHARGEBACK_OPEN . 15
QUERIED_AGAIN centre lapse - > CHARGEBACK_OPEN . 15
FOUND_RIGHT issuer negotiate 4006,4007 > NEGOTIATED . 15
FOUND_RIGHT centre lapse - > CLOSED_NO_CHANGE PROVISIONAL_TAKEN_BACK -
CREDIT_OWED acquirer adjust 2001 > CREDIT_ADJUSTED PROVISIONAL_CONFIRMED 15
CREDIT_OWED centre lapse - > CREDIT_ADJUSTED PROVISIONAL_CONFIRMED 15
CREDIT_ADJUSTED issuer negotiate 4006,4007 > NEGOTIATED . 15
CREDIT_ADJUSTED centre lapse - > CLOSED_RETURNED PROVISIONAL_TAKEN_BACK -
NEGOTIATED acquirer answer 01 > RETURN_OWED . 15
NEGOTIATED acquirer answer 02 > CLOSED_NO_CHANGE PROVISIONAL_TAKEN_BACK -
NEGOTIATED centre lapse - > CLOSED_NO_CHANGE PROVISIONAL_TAKEN_BACK -
RETURN_OWED acquirer adjust 5006,5007 > CLOSED_RETURNED PROVISIONAL_CONFIRMED -
RETURN_OWED centre lapse - > CLOSED_RETURNED PROVISIONAL_CONFIRMED -
CHARGEBACK_OPEN issuer chargeback - > CHARGED_BACK . 15
CHARGEBACK_OPEN centre lapse - > CLOSED_NO_CHANGE PROVISIONAL_TAKEN_BACK -
CHARGED_BACK acquirer answer 01 > CLOSED_RETURNED PROVISIONAL_CONFIRMED -
CHARGED_BACK acquirer answer 02 > REPRESENTED PROVISIONAL_TAKEN_BACK 15
CHARGED_BACK centre lapse - > CLOSED_RETURNED PROVISIONAL_CONFIRMED -
REPRESENTED issuer negotiate 4002,4005,4007 > REPRESENTMENT_DISPUTED . 15
REPRESENTED centre lapse - > CLOSED_NO_CHANGE . -
REPRESENTMENT_DISPUTED acquirer answer 01 > RETURN_AFTER_ALL . 15
REPRESENTMENT_DISPUTED acquirer answer 02 > CLOSED_NO_CHANGE . -
REPRESENTMENT_DISPUTED centre lapse - > CLOSED_NO_CHANGE . -
RETURN_AFTER_ALL acquirer adjust 5002,5005,5007 > CLOSED_RETURNED CREDIT_ADJUSTMENT -
RETURN_AFTER_ALL centre lapse - > CLOSED_RETURNED CREDIT_ADJUSTMENT -
- issuer report TAC > VERIFICATION_DOUBTED VERIFICATION_DOUBTED 30
VERIFICATION_DOUBTED issuer withdraw - > CLOSED_CONFIRMED VERIFICATION_CONFIRMED -
VERIFICATION_DOUBTED acquirer answer 01 > CLOSED_RETURNED VERIFICATION_CHARGED -
VERIFICATION_DOUBTED acquirer negotiate 4005,4007 > VERIFICATION_DISPUTED . 15
VERIFICATION_DOUBTED centre lapse - > CLOSED_RETURNED VERIFICATION_CHARGED -
VERIFICATION_DISPUTED issuer answer 01 > CLOSED_CONFIRMED VERIFICATION_CONFIRMED -
VERIFICATION_DISPUTED issuer answer 02 > CLOSED_RETURNED VERIFICATION_CHARGED -
VERIFICATION_DISPUTED centre lapse - > CLOSED_RETURNED VERIFICATION_CHARGED -
"""
"""State, actor, action, codes > next state, what it posts, days for the next move; "." and "-" are none."""


@dataclass(frozen=True)
class Step:
    """One line of the flow."""

    next: str
    posts: str
    days: int | None


def _flow() -> dict[tuple[str, str, str, str], Step]:
    flow = {}
    for line in FLOW_TEXT.strip().splitlines():
        before, after = line.split(" > ")
        state, actor, action, codes = before.split()
        following, posts, days = after.split()
        for code in codes.split(","):
            key = (state.strip("-"), actor, action, code.strip("-"))
            flow[key] = Step(following, posts.strip("."), None if days == "-" else int(days))
    return flow


FLOW = _flow()


@dataclass
class Dispute:
    """Where a dispute stands; ``fen`` are still in dispute."""

    row: RowKey
    state: str
    fen: int
    deadline: int | None

    @property
    def closed(self) -> bool:
        return self.state.startswith("CLOSED")


class Disputes:
    """Every dispute by the label that the office gave it."""

    def __init__(self, corrections: Corrections) -> None:
        self._corrections = corrections
        self.all: dict[str, Dispute] = {}

    def move(self, asked: dict[str, Any], window: int) -> None:
        """One move in ``window``.

        Raises:
            ObjectionError: the rules do not allow it.
        """
        dispute = self.all.get(asked["label"])
        if dispute is None:
            row = self._corrections.rows[tuple(asked["row"])]
            fen = asked["fen"] or row.value["amount"]
            if fen > row.value["amount"] or any(d.row == row.key and not d.closed for d in self.all.values()):
                raise ObjectionError(f"{asked}: more than the purchase, or disputed already")
            dispute = self.all[asked["label"]] = Dispute(row.key, "", fen, None)
        step = FLOW.get((dispute.state, asked["actor"], asked["action"], asked["code"]))
        if step is None:
            raise ObjectionError(f"{asked}: impossible in {dispute.state}")
        late = dispute.deadline is not None and window > dispute.deadline
        if late != (asked["action"] == "lapse"):
            raise ObjectionError(f"{asked}: the deadline is {dispute.deadline}, the window {window}")
        fen = dispute.fen if asked["fen"] is None else asked["fen"]
        self._post(step.posts, dispute, fen, window)
        if step.posts == "PROVISIONAL_CONFIRMED":
            dispute.fen -= fen
        dispute.state = step.next
        if not dispute.closed and dispute.fen == 0:
            dispute.state = "CLOSED_RETURNED"
        dispute.deadline = None if dispute.closed or step.days is None else window + step.days
        if dispute.closed:
            dispute.fen = 0

    def _post(self, posts: str, dispute: Dispute, fen: int, window: int) -> None:
        if not posts:
            return
        corrections = self._corrections
        row = corrections.rows[dispute.row]
        stands = corrections.standing(row, window)
        template = posts
        if posts == "SURPLUS":
            lies: dict[str, int] = defaultdict(int)
            for (kind, _, _), amount in stands.items():
                lies[kind] += abs(amount)
            template = (
                "RELEASE"
                if lies["suspense_payable"]
                else "RELEASE_UNPROVEN"
                if lies["held_memo"]
                else "RELEASE_REJECTED"
            )
        holders = {who for (kind, who, source), amount in stands.items()
                   if (kind, source) == ("merchant_payable", RESERVE) and amount > 0}  # fmt: skip
        merchant = holders.pop() if len(holders) == 1 else row.value["merchant_id"]
        parties = Parties(corrections.issuer(row), merchant, 0, merchant)
        corrections.post(row.key, corrections.legs(template, parties, fen), window)
