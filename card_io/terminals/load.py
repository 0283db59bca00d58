"""Load: cash or card money onto the purse, and benefits written down to the card they were granted to."""

from __future__ import annotations

from dataclasses import replace

from card_io.capture.transactions import OPEN, State
from card_io.records import Service
from card_io.sam.port import IssuerHost
from card_io.terminals.quotes import Benefit, BenefitQuotes
from card_io.terminals.touch import PurseTerminal, Receipt, Touch, TurnedAway


class LoadTerminal:
    """An agent's load terminal; the issuer's host stands behind it."""

    def __init__(self, purse: PurseTerminal, host: IssuerHost, benefits: BenefitQuotes | None = None) -> None:
        self.purse = purse
        self.host = host
        self.benefits = benefits

    def load(self, touch: Touch, amount: int) -> Receipt:
        """Put ``amount`` fen on the purse. Raises as :meth:`PurseTerminal.load`."""
        return self.purse.load(touch, self.host, amount, {})

    def write_down(self, touch: Touch) -> list[Receipt]:
        """Load every benefit that waits for the card and was not loaded here before, one by one.

        A benefit whose load is grey waits until the load is decided: it is never loaded twice.

        Raises:
            TurnedAway: nothing waits. Others as :meth:`PurseTerminal.load`; what was loaded before stands.
        """
        if self.benefits is None:
            raise TurnedAway("nothing_due")
        due = [each for each in self.benefits.due(touch.card.card_number) if not self._loaded(touch, each)]
        if not due:
            raise TurnedAway("nothing_due")
        receipts = []
        for benefit in due:
            receipt = self.purse.load(touch, self.host, benefit.amount, {"benefit_id": benefit.benefit_id})
            receipts.append(replace(receipt, facts={"benefit_id": benefit.benefit_id}))
        return receipts

    def _loaded(self, touch: Touch, benefit: Benefit) -> bool:
        return any(
            each.service is Service.LOAD
            and each.card_no == touch.card.card_number
            and each.columns.get("benefit_id") == benefit.benefit_id
            and (each.state is State.DEBITED or each.state in OPEN)
            for each in self.purse.point.state.transactions.values()
        )
