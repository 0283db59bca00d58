"""What a tariff asks of a row: which columns its steps read, which payers it decides, what it remembers.

Somebody who has rows from elsewhere must know it, because a column left out takes a default: a bill without its peak
is no bill with a peak of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tariffs.medical import steps as medical
from tariffs.parameters import Strict
from tariffs.reads import Read, reads
from tariffs.tariff import Segment
from tariffs.transit.reads import reads_of as transit_reads
from tariffs.utility import steps as utility

VISIT_COLUMNS: Final = frozenset({"person", "sequence", "settle_day", "insured", "category_a", "category_b"})
"""Columns of a visit that every medical tariff reads; with them go ``category_c`` and ``over_limit``."""

NEVER_ASKED: Final = frozenset(
    {"category_c", "over_limit", "account_available", "family_available", "purse_available", "cancels", "home_region"}
)
"""Columns of a visit whose default says what is so when nobody gives them."""

USAGE_COLUMNS: Final = frozenset({"account", "sequence", "period_day", "usage_milli"})
"""Columns of a usage that every utility tariff reads; ``bill`` says only which rows belong together."""

BILL_COLUMNS: Final = ("category_a", "category_b", "category_c", "over_limit")
"""Disjoint parts of a medical bill: one that is not given would be a bill of less."""

_VISITOR_KEYS: Final = ("person_type", "level", "visit_kind", "relation", "aid")
_ACCOUNT_FIELDS: Final = {"account": "acct_pay", "family": "acct_mulaid_pay"}
_AVAILABLE: Final = {"account": "account_available", "family": "family_available", "purse": "purse_available"}


def columns_needed(segment: Segment) -> frozenset[str]:
    """Columns of the rows of a segment's kind that its steps read and whose absence nothing else could tell.

    Without those that every tariff of the kind reads, and without :data:`NEVER_ASKED`. Where times of use have
    registers, ``register`` is named, otherwise ``minute``.
    """
    read = {each.columns[0] for step in _steps(segment) for each in reads_of(step)}
    return frozenset(read - NEVER_ASKED - VISIT_COLUMNS - USAGE_COLUMNS)


def reads_of(step: Strict) -> Iterator[Read]:
    """Everything a step reads of a row, beside what every row of its kind must have anyway."""
    yield from transit_reads(step)
    yield from _read_by(step)


def payer_fields(segment: Segment) -> tuple[str, ...]:
    """Interface fields of the funds and accounts that a medical segment decides, in the order in which they pay."""
    fields = ["hifp_pay"]
    for step in _steps(segment):
        if isinstance(step, medical.Supplement):
            fields.append(step.fund)
        elif isinstance(step, medical.MonthlyLimit):
            fields += [] if step.second_payer is None else [step.second_payer.fund]
            fields.append(step.fund)
        elif isinstance(step, medical.Waterfall):
            fields += [_ACCOUNT_FIELDS[payer] for payer in step.order if payer in _ACCOUNT_FIELDS]
    return tuple(fields)


def buys_usage(segment: Segment) -> bool:
    """Whether a utility segment turns money into usage (a prepaid meter)."""
    return any(isinstance(step, utility.Prepaid) for step in _steps(segment))


def remembers(segment: Segment) -> bool:
    """Whether a row of a utility segment depends on earlier rows of its account."""
    tiers = (step for step in _steps(segment) if isinstance(step, utility.Tiers))
    demand = any(isinstance(step, utility.Demand) for step in _steps(segment))
    return demand or any(step.period != "bill" and len(step.tiers) > 1 for step in tiers)


def funds_that_remember(segment: Segment) -> bool:
    """Whether a medical segment has counters that the amounts paid do not tell: other funds' years, or months."""
    return any(isinstance(step, medical.Supplement | medical.MonthlyLimit) for step in _steps(segment))


def months_back(segments: Sequence[Segment]) -> int:
    """Months before that of a row which its price may look at; 0 = its own month and year suffice."""
    months = [0]
    for segment in segments:
        for step in _steps(segment):
            if isinstance(step, medical.MonthlyLimit) and step.repeat is not None:
                months.append(step.repeat.within_months)
            elif isinstance(step, utility.Demand) and step.ratchet is not None:
                months.append(step.ratchet.months)
    return max(months)


def _steps(segment: Segment) -> Iterator[Strict]:
    return (step for _, step in segment.steps)


def _read_by(step: Strict) -> Iterator[Read]:
    """What medical and utility steps read."""
    match step:
        case medical.Prepay():
            yield from reads("category_b_service") if step.service_per_10000 is not None else ()
            yield from reads("category_b_material") if step.material_per_10000 is not None else ()
        case medical.OutOfRegion():
            yield from reads("relation")
        case medical.Deductible() | medical.Share() | medical.AnnualCap() | medical.Supplement():
            # All that is due is due on the whole bill.
            yield from reads(*BILL_COLUMNS) if isinstance(step, medical.Deductible) else ()
            for cell in step.by:
                yield from reads(*(key for key in _VISITOR_KEYS if getattr(cell, key) is not None))
        case medical.MonthlyLimit():
            yield from reads("household") if step.per == "household" else ()
            yield from reads(*(("income_class",) if step.classes is None else ("income", "income_exempt")))
            if step.second_payer is not None:
                yield from reads("program")
                certified = any(each.person_pays == "certificate" for each in step.second_payer.by)
                yield from (Read(("program_limit",), "known"),) if certified else ()
        case medical.Waterfall():
            yield from reads(*(_AVAILABLE[payer] for payer in step.order if payer in _AVAILABLE))
        case utility.TimeOfUse():
            registers = any(period.register_code is not None for period in step.periods)
            windows = any(period.when is not None for period in step.periods)
            told_by = (*(("register",) if registers else ()), *(("minute",) if windows else ()))
            yield Read(told_by or ("minute",))
        case utility.Household():
            yield from reads("household")
            yield from _once("days") if step.on_change == "prorate_by_days" else ()
        case utility.Tiers():
            yield from _customers(step.only)
            yield from _edges(step)
        case utility.Demand():
            yield from _once("demand_milli")
            by_clock = step.assessed == "daily" or any(each.when for each in step.charges)
            yield from (Read(("minute",), "known"),) if by_clock else ()
        case utility.Fixed():
            yield from _once("days") if step.per == "day" else ()
            for price in step.prices:
                yield from _customers(price.only)
        case utility.Minimum():
            yield from _customers(step.only)
        case utility.LateFee():
            yield from _once("days_overdue")
        case utility.Prepaid():
            yield from _once("purchase")


def _edges(step: utility.Tiers) -> Iterator[Read]:
    """What the edges of tiers depend on."""
    per_kw_day = any(tier.up_to_per_kw_day_milli is not None for tier in step.tiers)
    if per_kw_day or any(tier.up_to_per_day_milli is not None for tier in step.tiers):
        yield from _once("days")
    if per_kw_day or any(tier.up_to_per_kw_milli is not None for tier in step.tiers):
        yield from _once("demand_milli")
    if step.budget is not None:
        yield from reads("household", "allowance_milli")
        yield from _once("days") if step.budget.per_person_day_milli else ()


def _customers(only: utility.Customers) -> Iterator[Read]:
    yield from reads("customer_class") if only.customer_class is not None else ()
    yield from reads("meter_size") if only.meter_size is not None else ()


def _once(column: str) -> tuple[Read, ...]:
    return (Read((column,), "once_per_bill"),)
