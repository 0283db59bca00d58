"""Utility: several bills, one debit (合并缴费)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from card_io.records import Service
from card_io.terminals.quotes import BillQuote, BillQuotes
from card_io.terminals.touch import PurseTerminal, Receipt, Touch, TurnedAway


class UtilityTerminal:
    """A payment hall's counter or kiosk."""

    def __init__(self, purse: PurseTerminal, quotes: BillQuotes) -> None:
        self.purse = purse
        self.quotes = quotes

    def pay(self, touch: Touch, *, show: Callable[[BillQuote], None] = lambda quote: None) -> Receipt:
        """Quote the bills, show them, take their sum at once.

        Raises:
            TurnedAway: nothing is due, or the card refused. Others as :meth:`PurseTerminal.debit`.
        """
        quote = self.quotes.quote(touch.card.card_number)
        show(quote)
        if quote.total <= 0:
            raise TurnedAway("nothing_due")
        receipt = self.purse.debit(touch, Service.UTILITY, quote.total, {}, bills=quote.bills)
        return replace(receipt, facts={"bills": len(quote.bills)})
