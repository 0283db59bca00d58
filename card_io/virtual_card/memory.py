"""What the virtual card keeps without power: one frozen value, replaced as a whole when a command commits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Final, Self

from card_io.layouts.commands import PurseLimits
from card_io.layouts.files import LogRecord

LOG_RECORDS: Final = 10
JOURNEY_RECORDS: Final = 30
COUNTER_MAX: Final = 0xFFFF
PIN_TRIES: Final = 3
MAINTENANCE_TRIES: Final = 3


class Block(IntEnum):
    """State of the application."""

    NONE = 0
    TEMPORARY = 1
    PERMANENT = 2


@dataclass(frozen=True, slots=True)
class KeySet:
    """The card's own 16-byte keys of one key index, already diversified."""

    version: int
    algorithm: int
    purchase: bytes = field(repr=False)
    load: bytes = field(repr=False)
    unload: bytes = field(repr=False)
    overdraft: bytes = field(repr=False)
    maintenance: bytes = field(repr=False)
    pin: bytes = field(repr=False)
    tac_purchase: bytes = field(repr=False)
    tac_load: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """What GET TRANSACTION PROVE answers for the last transaction of a counter."""

    txn_type: int
    counter_after: int
    mac: bytes
    tac: bytes


@dataclass(frozen=True, slots=True)
class CardMemory:
    """Everything non-volatile. Amounts in fen; records newest first.

    Attributes:
        limits: cap, actual balance, overdraft limit, overdraft used (JT/T 1356.1 K1).
        industry: slots of file 1A by tag (2701 …), 128 bytes each.
        offline_proof, online_proof: the last debit and the last load, unload or limit change.
    """

    aid: bytes
    file_15: bytes
    file_16: bytes
    file_17: bytes
    keys: Mapping[int, KeySet]
    limits: PurseLimits
    offline_counter: int = 0
    online_counter: int = 0
    log: tuple[bytes, ...] = ()
    industry: Mapping[bytes, bytes] = field(default_factory=dict)
    journeys: tuple[bytes, ...] = ()
    extensions: Mapping[int, bytes] = field(default_factory=dict)
    pin: bytes = b""
    pin_tries: int = PIN_TRIES
    pin_for_load: bool = False
    block: Block = Block.NONE
    maintenance_tries: int = MAINTENANCE_TRIES
    offline_proof: Proof | None = None
    online_proof: Proof | None = None

    @property
    def available(self) -> int:
        """What can be spent: balance plus overdraft left, the balance of all answers (four bytes).

        A real card with an overdraft limit of 800 and no money answers 800 (the Shanghai dump of `card-standards.md`
        §8), and A + C ≤ FFFFFF of JT/T 1356.1 makes exactly this sum fit.
        """
        return self.limits.balance + self.limits.overdraft_limit - self.limits.overdraft_used

    def debited(self, amount: int) -> Self:
        """Take `amount`, at most :attr:`available`: first the balance, then the overdraft."""
        from_balance = min(amount, self.limits.balance)
        assert amount <= self.available
        return self._with_money(
            self.limits.balance - from_balance, self.limits.overdraft_used + amount - from_balance
        )

    def credited(self, amount: int) -> Self:
        """Give `amount`: first it repays the overdraft. ValueError above the cap."""
        repaid = min(amount, self.limits.overdraft_used)
        balance = self.limits.balance + amount - repaid
        if balance > self.limits.cap:
            raise ValueError(f"a balance of {balance} fen is above the cap of {self.limits.cap}")
        return self._with_money(balance, self.limits.overdraft_used - repaid)

    def with_overdraft_limit(self, limit: int) -> Self:
        """Set the limit. ValueError when less than is used, or when cap and limit no longer fit three bytes."""
        limits = replace_limits(self.limits, overdraft_limit=limit)
        if violations := limits.violations():
            raise ValueError(violations[0])
        return replace(self, limits=limits)

    def logged(self, record: LogRecord) -> Self:
        """Write a log record; the oldest of ten gives way."""
        return replace(self, log=(record.encode(), *self.log[: LOG_RECORDS - 1]))

    def with_journey(self, record: bytes) -> Self:
        """Write a journey record; the oldest of thirty gives way."""
        return replace(self, journeys=(record, *self.journeys[: JOURNEY_RECORDS - 1]))

    def with_industry(self, record: bytes) -> Self:
        """Replace the slot that the record's tag names."""
        return replace(self, industry={**self.industry, record[:2]: record})

    def _with_money(self, balance: int, used: int) -> Self:
        return replace(self, limits=replace_limits(self.limits, balance=balance, overdraft_used=used))


def replace_limits(limits: PurseLimits, **changes: int) -> PurseLimits:
    """A changed copy."""
    values = {name: getattr(limits, name) for name in ("cap", "balance", "overdraft_limit", "overdraft_used")}
    return PurseLimits(**{**values, **changes})
