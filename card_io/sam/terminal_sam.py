"""The terminal's SAM on any `ModuleKeys`: numbers its purchases, makes MAC1, checks MAC2, locks after three."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from card_io import mac
from card_io.keys.entry import KeyKind
from card_io.sam.keys import ModuleKeys
from card_io.sam.memory import SamCounts, SamMemory
from card_io.sam.port import PurchaseAuthorisation, PurchaseTerms, SamFault, SamLockedFault, WrongMacFault

FAILURES_MAX: Final = 3
_COUNTER_MAX: Final = 0xFFFFFFFF


class TerminalSam:
    """Implements `card_io.sam.port.Sam`; one purchase at a time, as a chip would."""

    def __init__(self, keys: ModuleKeys, memory: SamMemory) -> None:
        self._keys = keys
        self._memory = memory
        self._authorised: tuple[PurchaseTerms, bytes] | None = None

    @property
    def terminal(self) -> bytes:
        """Number of this SAM, six bytes."""
        return self._memory.terminal

    @property
    def counts(self) -> SamCounts:
        """Next transaction number and failures in a row."""
        return self._memory.counts

    def authorise(self, terms: PurchaseTerms) -> PurchaseAuthorisation:
        """The number is used up once given, whatever becomes of the purchase. Raises `SamFault`."""
        self._require_unlocked()
        counts = self._memory.counts
        if counts.next_counter >= _COUNTER_MAX:
            raise SamFault("the transaction number has reached its end", "replace the SAM")
        seed = mac.purchase_session_data(terms.card_random, terms.offline_counter, counts.next_counter)
        data = mac.purchase_mac1_data(
            terms.amount, terms.txn_type, int.from_bytes(self.terminal, "big"), terms.date4, terms.time3
        )
        mac1 = self._keys.session_mac(KeyKind.PURSE_PURCHASE, terms.card, terms.date4, seed, data)
        self._memory.save(replace(counts, next_counter=counts.next_counter + 1))
        self._authorised = terms, seed
        return PurchaseAuthorisation(counts.next_counter, mac1)

    def confirm(self, mac2: bytes) -> None:
        """See `Sam.confirm`; a right MAC2 resets the failures, a wrong one is remembered before it is told."""
        self._require_unlocked()
        authorised, self._authorised = self._authorised, None
        if authorised is None:
            raise SamFault("no purchase waits for its MAC2", "authorise one first")
        terms, seed = authorised
        due = self._keys.session_mac(
            KeyKind.PURSE_PURCHASE, terms.card, terms.date4, seed, mac.amount_data(terms.amount)
        )
        counts = self._memory.counts
        if due == mac2:
            if counts.failures:
                self._memory.save(replace(counts, failures=0))
            return
        self._memory.save(replace(counts, failures=counts.failures + 1))
        self._require_unlocked()
        raise WrongMacFault(
            f"MAC2 of the card is wrong ({self._memory.counts.failures} of {FAILURES_MAX})", "keep the card aside"
        )

    def unlock(self) -> None:
        """The key officer clears the failures."""
        self._memory.save(replace(self._memory.counts, failures=0))

    def _require_unlocked(self) -> None:
        if self._memory.counts.failures >= FAILURES_MAX:
            raise SamLockedFault("the SAM is locked after three wrong MAC2", "the key officer unlocks it")
