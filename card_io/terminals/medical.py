"""Medical: the insurer's settlement is quoted, its split shown, and the purse pays what is left to the person."""

from __future__ import annotations

from collections.abc import Callable

from card_io.records import PurseKind, Service, TxnType
from card_io.terminals.quotes import MedicalQuote, MedicalQuotes
from card_io.terminals.touch import PurseTerminal, Receipt, Touch, TurnedAway

Show = Callable[[MedicalQuote], None]


class MedicalTerminal:
    """A hospital's cashier."""

    def __init__(self, purse: PurseTerminal, quotes: MedicalQuotes) -> None:
        self.purse = purse
        self.quotes = quotes

    def settle(self, touch: Touch, *, from_purse: int | None = None, show: Show = lambda quote: None) -> Receipt:
        """Quote, show the split, take the person's cash part from the purse.

        Args:
            touch: the card.
            from_purse: fen to take; None = the whole cash part. What is left the person pays in cash.
            show: shows the split before anything is taken.

        Raises:
            TurnedAway: more than the cash part was asked for, or the card refused; the settlement is given up.
            Others as :meth:`PurseTerminal.debit`; a torn debit leaves settlement and record open.
        """
        quote = self.quotes.quote(touch.card.card_number)
        show(quote)
        amount = quote.own_part if from_purse is None else from_purse
        try:
            if not 0 <= amount <= quote.own_part:
                raise TurnedAway("over_own_part")
            if amount == 0:
                return self._without_purse(touch, quote)
            return self.purse.debit(touch, Service.MEDICAL, amount, quote.columns)
        except TurnedAway:
            self.quotes.cancel(quote)
            raise

    def _without_purse(self, touch: Touch, quote: MedicalQuote) -> Receipt:
        """Funds and account pay everything: a record of the settlement that moves no purse."""
        record: dict[str, int | None] = {
            **quote.columns,
            "issuer_id": int.from_bytes(touch.card.issuer_id, "big"),
            "purse_kind": int(PurseKind.PURSE),
            "test_flag": int(self.purse.settings.test),
            "txn_type": int(TxnType.NO_PURSE),
            "terminal_id": self.purse.settings.terminal_number,
            "date4": touch.date4,
            "time3": touch.time3,
            "amount": 0,
            "key_version": 0,
            "key_index": 0,
            "algorithm": 0,
            "merchant_id": self.purse.settings.merchant_id,
        }
        point, card_no = self.purse.point, touch.card.card_number
        number = point.intend(Service.MEDICAL, card_no, record)
        point.debited(number, {}, touch.channel.exchange)
        return Receipt(number, Service.MEDICAL, card_no, 0, 0, None, None, touch.channel.exchange.sha256)
