"""What a tariff asks of a row: which columns its steps read, which payers it decides, what it remembers.

Somebody who has rows from elsewhere must know it, because a column left out takes a default: a bill without its peak
is no bill with a peak of nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tariffs.medical import steps as medical
from tariffs.parameters import Strict
from tariffs.tariff import Segment
from tariffs.utility import steps as utility

VISIT_COLUMNS: Final = frozenset({"person", "sequence", "settle_day", "insured", "category_a", "category_b"})
"""Columns of a visit that every medical tariff reads; with them go ``category_c`` and ``over_limit``."""

NEVER_ASKED: Final = frozenset(
    {"category_c", "over_limit", "account_available", "family_available", "purse_available", "cancels", "home_region"}
)
"""Columns of a visit whose default says what is so when nobody gives them."""

USAGE_COLUMNS: Final = frozenset({"account", "sequence", "period_day", "usage_milli"})
"""Columns of a usage that every utility tariff reads; ``bill`` says only which rows belong together."""

_VISITOR_KEYS: Final = ("person_type", "level", "visit_kind", "relation", "aid")
_ACCOUNT_FIELDS: Final = {"account": "acct_pay", "family": "acct_mulaid_pay"}


def columns_needed(segment: Segment) -> frozenset[str]:
    """Columns of :class:`~tariffs.MedicalVisits` or :class:`~tariffs.UtilityUsages` that the steps of a segment read.

    Without those that every tariff of the kind reads. Where times of use have registers, ``register`` is named,
    otherwise ``minute``.
    """
    return frozenset(name for step in _steps(segment) for name in _read_by(step))


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


def _read_by(step: Strict) -> Iterator[str]:
    match step:
        case medical.Prepay():
            yield from ("category_b_service",) if step.service_per_10000 is not None else ()
            yield from ("category_b_material",) if step.material_per_10000 is not None else ()
        case medical.OutOfRegion():
            yield "relation"
        case medical.Deductible() | medical.Share() | medical.AnnualCap() | medical.Supplement():
            for cell in step.by:
                yield from (key for key in _VISITOR_KEYS if getattr(cell, key) is not None)
        case medical.MonthlyLimit():
            yield from ("household",) if step.per == "household" else ()
            yield from ("income_class",) if step.classes is None else ("income", "income_exempt")
            if step.second_payer is not None:
                yield "program"
                if any(each.person_pays == "certificate" for each in step.second_payer.by):
                    yield "program_limit"
        case utility.TimeOfUse():
            yield "register" if any(period.register_code is not None for period in step.periods) else "minute"
        case utility.Household():
            yield "household"
            yield from ("days",) if step.on_change == "prorate_by_days" else ()
        case utility.Tiers():
            yield from _customers(step.only)
            yield from _edges(step)
        case utility.Demand():
            yield "demand_milli"
            yield from ("minute",) if step.assessed == "daily" or any(each.when for each in step.charges) else ()
        case utility.Fixed():
            yield from ("days",) if step.per == "day" else ()
            for price in step.prices:
                yield from _customers(price.only)
        case utility.Minimum():
            yield from _customers(step.only)
        case utility.LateFee():
            yield "days_overdue"
        case utility.Prepaid():
            yield "purchase"


def _edges(step: utility.Tiers) -> Iterator[str]:
    """What the edges of tiers depend on."""
    if any(tier.up_to_per_day_milli is not None for tier in step.tiers):
        yield "days"
    if any(tier.up_to_per_kw_milli is not None for tier in step.tiers):
        yield "demand_milli"
    if step.budget is not None:
        yield "household"
        yield "allowance_milli"
        yield from ("days",) if step.budget.per_person_day_milli else ()


def _customers(only: utility.Customers) -> Iterator[str]:
    yield from ("customer_class",) if only.customer_class is not None else ()
    yield from ("meter_size",) if only.meter_size is not None else ()
