"""What is agreed with participants, with dates: verification, fees, settlement, advances (clearing-rules §1, §12).

A change is a new line with its own dates; what an earlier line decided never moves, since a close entry holds every
figure and account it was decided with.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from clearing.strict import Dated, Strict

ServiceName = Literal["transit", "medical", "utility", "retail", "load", "benefit"]
Fen = Annotated[int, Field(strict=True, ge=0)]
Bps = Annotated[int, Field(strict=True, ge=0, le=10_000)]
"""1/10 000."""


class Verification(Dated):
    """A dated agreement on rows that cannot be verified: of one sender, service and issuer."""

    sender: int
    service: ServiceName
    issuer: int
    allow: Literal["unverified", "clear_first"]
    classes: Literal["register", "sidecar"] = "register"


class FeeTier(Strict):
    """From what volume on another rate applies, to the part of the base above it."""

    above: Fen
    bps: Bps


class FeeSchedule(Strict):
    """A fee per merchant: level, base, fixed part, rate or tiers of it, bounds in fen, weights of the shares."""

    level: Literal["transaction", "window", "month"] = "window"
    """What one fee is for, and is rounded once for: base, tiers and bounds are of a transaction, window or month."""
    base: Literal["card_paid", "gross", "card_paid_and_fund_paid"]
    bps: Bps = 0
    fixed: Fen = 0
    minimum: Fen = 0
    maximum: Fen | None = None
    tiers: tuple[FeeTier, ...] = ()
    sign: Literal["charge", "rebate"] = "charge"
    """A rebate is paid to the merchant by those who share it."""
    shares: dict[Literal["issuer", "acquirer", "centre"], Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _consistent(self) -> FeeSchedule:
        edges = [tier.above for tier in self.tiers]
        if edges != sorted(set(edges)) or (edges and edges[0] <= 0):
            raise ValueError("tiers: write above in ascending order, the first above 0 (below it counts bps)")
        if self.maximum is not None and self.maximum < self.minimum:
            raise ValueError("maximum lies below minimum; correct one of them")
        return self

    def amount(self, base: int) -> int:
        """The fee in fen for a base of the schedule's level: rounded once half up; nothing when it is not above 0."""
        if base <= 0:
            return 0
        edges = [0, *(tier.above for tier in self.tiers)]
        rates = [self.bps, *(tier.bps for tier in self.tiers)]
        ends = [*edges[1:], base]
        parts = [max(min(end, base) - edge, 0) for edge, end in zip(edges, ends, strict=True)]
        fee = self.fixed + (sum(part * rate for part, rate in zip(parts, rates, strict=True)) + 5000) // 10000
        fee = max(fee, self.minimum)
        return fee if self.maximum is None else min(fee, self.maximum)


class BankAccount(Strict):
    """An account at a bank: number, 联行号 of its branch (CNAPS, 12 digits), and the name it is in."""

    number: Annotated[str, Field(pattern=r"^[0-9A-Za-z-]{4,34}$")]
    bank_code: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    name: Annotated[str, Field(pattern=r"^[^|\x00-\x1f]{1,140}$")]


class Mandate(Strict):
    """What a debtor signed so that its bank debits it on our word (代扣协议): number and day."""

    id: Annotated[str, Field(pattern=r"^[0-9A-Za-z+?/:().,'-]{1,35}$")]
    signed: datetime.date


class SourceAccount(BankAccount):
    """An account of the centre: it holds the money of one source (0 the reserve, the centre's number its own)."""

    source: Annotated[int, Field(ge=0)]


class HoldBack(Strict):
    """Part of each window's net that is kept and released after so many days."""

    bps: Bps
    release_days: Annotated[int, Field(strict=True, ge=1, le=3650)]


WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CYCLE: Final = re.compile(r"T\+(?P<days>[1-9]\d?)|weekly-(?P<weekday>[a-z]{3})|monthly-(?P<date>[1-9]|[12]\d|3[01])")


@dataclass(frozen=True, slots=True)
class Cycle:
    """When a window is paid: so many business days later, on a weekday, or on a day of the month."""

    kind: Literal["days", "weekday", "date"]
    number: int
    """Business days; weekday from 0 = Monday; day of the month (a shorter month: its last)."""

    @classmethod
    def parse(cls, text: str) -> Cycle:
        """The cycle of ``T+n``, ``weekly-mon`` … ``weekly-sun``, ``monthly-1`` … ``monthly-31``; ValueError."""
        found = _CYCLE.fullmatch(text)
        if found is None or (found["weekday"] and found["weekday"] not in WEEKDAYS):
            raise ValueError(f"{text!r} is no cycle; write T+1, weekly-fri or monthly-10")
        if found["weekday"]:
            return cls("weekday", WEEKDAYS.index(found["weekday"]))
        if found["date"]:
            return cls("date", int(found["date"]))
        return cls("days", int(found["days"]))


class Settlement(Dated):
    """How a participant is settled: when, by which fees, from what amount on, to which account."""

    participant: int
    cycle: str
    fee: str | None = None
    """Fee schedule; None = that of the participant."""
    minimum_payout: Fen = 0
    hold_back: HoldBack | None = None
    debts: Literal["collect", "carry"] = "collect"
    """What it owes on balance is collected, or carried and netted from what it is owed later."""
    debit_cap: Fen | None = None
    account: BankAccount | None = None
    mandate: Mandate | None = None
    """What it owes is collected by direct debit; without one, by a list."""

    @model_validator(mode="after")
    def _debited_account(self) -> Settlement:
        if self.mandate is not None and self.account is None:
            raise ValueError(f"participant {self.participant}: a mandate debits an account; give it")
        if self.mandate is not None and self.debts == "carry":
            raise ValueError(
                f"participant {self.participant}: what is carried is not debited; collect, or no mandate"
            )
        return self

    @field_validator("cycle")
    @classmethod
    def _known_cycle(cls, text: str) -> str:
        Cycle.parse(text)
        return text

    @property
    def when(self) -> Cycle:
        """The cycle, read."""
        return Cycle.parse(self.cycle)


class Advance(Dated):
    """The centre pays a fund's shares out of its own money before the fund has paid, up to a limit outstanding."""

    fund: int
    limit: Fen | None = None


class Agreements(Strict):
    """Everything agreed with participants that is not their own description."""

    verification: tuple[Verification, ...] = ()
    fees: dict[str, FeeSchedule] = Field(default_factory=dict)
    settlement: tuple[Settlement, ...] = ()
    advances: tuple[Advance, ...] = ()

    @model_validator(mode="after")
    def _one_at_a_time(self) -> Agreements:
        for what, key in (("settlement", "participant"), ("advances", "fund")):
            listed: Sequence[Dated] = getattr(self, what)
            for at, one in enumerate(listed):
                if one.valid_to < one.valid_from:
                    raise ValueError(f"{what}.{at}: to lies before from; correct the dates")
                for other in listed[:at]:
                    same = getattr(one, key) == getattr(other, key)
                    if same and one.valid_from <= other.valid_to and other.valid_from <= one.valid_to:
                        raise ValueError(
                            f"{what}.{at}: {key} {getattr(one, key)} has another agreement on the same days; "
                            "end the earlier one the day before"
                        )
        for name, schedule in self.fees.items():
            if not re.fullmatch(r"[a-z][a-z0-9_.-]*", name):
                raise ValueError(f"fees: {name!r}: write small letters, digits, _ . -")
            if not schedule.shares:
                raise ValueError(f"fees.{name}.shares: name who gets the fee")
        return self
