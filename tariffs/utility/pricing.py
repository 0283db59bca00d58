"""Price usage: tiers by times of use, demand, fixed and minimum charges, late fees, purchases of prepaid meters.

What needs other rows (the order of an account's readings, the rows of a bill) is walked once over the whole batch;
everything else goes column by column over chunks that fit the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tariffs.columns import NULL, Bools, Codes, Ints
from tariffs.compiler import CompiledTariff
from tariffs.parameters import QUANTITY_MAX
from tariffs.rounding import divide
from tariffs.threads import each_chunk
from tariffs.utility import kernels
from tariffs.utility.bills import Amounts, Bills, close_bills, group_bills, round_bills
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.counters import Counted, count, tariff_periods
from tariffs.utility.demand import price_demand
from tariffs.utility.program import UtilityProgram
from tariffs.utility.steps import Tiers
from tariffs.utility.tiers import PROPORTIONAL_MAX, Rows, Shares, add_amounts

_PERSONS_MAX = 10_000
_DAYS_MAX = 3_660


def price_utility(
    compiled: CompiledTariff, usages: UtilityUsages, state: UtilityState, *, threads: int = 1
) -> tuple[UtilityPrices, UtilityState]:
    """Price each usage after what its account has used before in the same tariff period.

    Returns prices in the order of ``usages`` and the counters after them; ``state`` is not changed.
    A row with a negative or absurd quantity, without residents, for customers or at a time no price is given for
    is not priced and moves no counter. Raises TariffKindError for another kind, ValueError when an account's
    sequence repeats or a bill shared in proportion lies in two periods.
    """
    program = compiled.utility_program()
    work = _admit(program, usages, threads)
    bills = group_bills(usages, work.priced, threads)
    if program.frame is not None and program.frame.fill == "in_proportion":
        within = bills.running(work.usage)[1] <= PROPORTIONAL_MAX
        if not (within | ~work.priced).all():
            np.logical_and(work.priced, within, out=work.priced)
            work.usage[~work.priced] = 0
            bills = group_bills(usages, work.priced, threads)
    shape = (len(usages), len(program.component_names))
    exact, components = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    usage, after = work.usage, state
    rule = np.zeros(len(usages), np.uint16)
    if program.frame is not None:
        known = state.take(state.register == 0)
        periods = tariff_periods(compiled, program.frame, usages, work.priced, bills, known)
        counted = count(program, usages, usage, periods, bills, known)
        usage, after = counted.usage, counted.after
        _add_tiers(program, program.frame, usages, work, counted, bills, exact, components, rule)
    if program.demand is not None:
        demanded = price_demand(program.demand, usages, work.priced, state, threads)
        exact[:, program.demand.column] = np.where(work.priced, demanded.exact, 0)
        after = _merged(after.take(after.register == 0), demanded.peaks)
    _add_fixed(program, usages, work.priced, bills, exact)
    fen = round_bills(program, exact, components, bills)
    if program.prepaid is not None:
        _keep_remainder(program, usages, work.priced, bills, fen)
    close_bills(program, usages, bills, fen)
    prices = UtilityPrices(
        gross=fen.gross,
        components=components,
        usage_milli=usage,
        rule=rule,
        segment=np.full(len(usages), compiled.segment, np.uint16),
        priced=work.priced,
    )
    return prices, after


@dataclass(frozen=True)
class _Work:
    """Per row: whether it has a price, its usage as read (0 without a price), its time of use and tiers steps."""

    priced: Bools
    usage: Ints
    use_period: npt.NDArray[np.int16]
    chosen: tuple[npt.NDArray[np.int8], ...]
    """Of each of the program's tables the step that holds, −1 = none."""


def _admit(program: UtilityProgram, usages: UtilityUsages, threads: int) -> _Work:
    """Which rows have a price, and when their usage was."""
    rows = len(usages)
    chosen = tuple(np.zeros(rows, np.int8) for _ in program.tables)
    work = _Work(np.ones(rows, np.bool_), np.zeros(rows, np.int64), np.zeros(rows, np.int16), chosen)
    ranges = _ranges(program)

    def admit(at: slice) -> None:
        part, priced = usages.take(at), work.priced[at]
        for name, (low, high) in ranges.items():
            kernels.within(getattr(part, name), low, high, priced)
        use_period = work.use_period[at]
        if program.use_periods is not None:
            use_period[:] = _use_period(program, part)
        for tables, steps in zip(program.tables, work.chosen, strict=True):
            steps[at] = tables.choice.of(part, use_period)
        if program.tables:
            priced &= np.logical_or.reduce([steps[at] >= 0 for steps in work.chosen])
        for fixed in program.fixed:
            if not fixed.choice.admits_all:
                priced &= fixed.choice.of(part) >= 0
        if program.reading is None:
            np.multiply(part.usage_milli, priced, out=work.usage[at])
        else:
            step = program.reading.round_to_milli
            read = np.where(priced, part.usage_milli, 0)
            work.usage[at] = divide(read, step, program.reading.rounding) * step

    each_chunk(rows, admit, threads)
    return work


def _ranges(program: UtilityProgram) -> dict[str, tuple[int, int]]:
    """Least and greatest value that can be priced, by column."""
    return {
        "usage_milli": (0, program.usage_max),
        "household": (1, _PERSONS_MAX if any(tables.budgets.any() for tables in program.tables) else QUANTITY_MAX),
        "demand_milli": (0, QUANTITY_MAX if program.demand is None else program.demand.demand_max),
        "allowance_milli": (0, QUANTITY_MAX),
        "days_overdue": (0, QUANTITY_MAX),
        "days": (0, _DAYS_MAX),
        "purchase": (0, 0 if program.prepaid is None else QUANTITY_MAX),
    }


def _use_period(program: UtilityProgram, usages: UtilityUsages) -> Ints:
    """Index of the time of use of each row, int64; −1 where neither register nor clock tells."""
    periods = program.use_periods
    assert periods is not None
    slots = periods.schedule.slots(usages.period_day, usages.minute)
    by_clock = np.where(slots >= 0, periods.of_slot[slots], -1)
    if not len(periods.registers):
        return np.where(usages.register == NULL, by_clock, -1)
    at = np.minimum(np.searchsorted(periods.registers, usages.register), len(periods.registers) - 1)
    by_register = np.where(periods.registers[at] == usages.register, periods.of_register[at], -1)
    return np.where(usages.register == NULL, by_clock, by_register)


def _add_tiers(
    program: UtilityProgram,
    frame: Tiers,
    usages: UtilityUsages,
    work: _Work,
    counted: Counted,
    bills: Bills,
    exact: Ints,
    components: Ints,
    rule: Codes,
) -> None:
    """Add the tiers to ``exact``, or to ``components`` where running totals are rounded; fill the rule of each row.

    The first tables of the file that price a row give its rule.
    """
    shares = _bill_usage(frame, counted, bills)
    running = frame.rounding_of == "running_total"
    divisor = 10 * program.price_scale if running else 0
    for tables, chosen in zip(program.tables, work.chosen, strict=True):
        if not work.priced.all():
            chosen[~work.priced] = -1
        rows = Rows(chosen, work.use_period, counted.before, counted.usage)
        amounts = components if running else exact
        add_amounts(tables, rows, usages, counted.terms, shares, divisor, amounts, rule, bills.threads)


def _bill_usage(frame: Tiers, counted: Counted, bills: Bills) -> Shares | None:
    if frame.fill == "in_reading_order":
        return None
    until, total, _ = bills.running(counted.usage)
    before = counted.before - (until - counted.usage)
    if (np.repeat(before[bills.first], np.diff(bills.begins)) != before[bills.order]).any():
        raise ValueError("a bill shared in proportion lies in two tariff periods, or between other readings")
    return Shares(before, until, total)


def _add_fixed(program: UtilityProgram, usages: UtilityUsages, priced: Bools, bills: Bills, exact: Ints) -> None:
    if not program.fixed:
        return
    first = priced
    if not bills.alone:
        first = np.zeros(len(usages), np.bool_)
        first[bills.first] = True

    def add(at: slice) -> None:
        part = usages.take(at)
        for fixed in program.fixed:
            times = part.days * priced[at] if fixed.per_day else first[at]
            exact[at, fixed.column] += fixed.prices[fixed.choice.of(part)] * 1000 * times

    each_chunk(len(usages), add, bills.threads)


def _keep_remainder(
    program: UtilityProgram, usages: UtilityUsages, priced: Bools, bills: Bills, fen: Amounts
) -> None:
    """What the last step of a purchase leaves of the money stays in its amount."""
    assert program.prepaid is not None
    column = program.column(program.prepaid.remainder_to)
    remainder = np.where(priced & (usages.purchase > 0), usages.purchase - fen.gross, 0)
    fen.components[:, column] += remainder
    fen.gross[:] += remainder
    fen.totals[:] = bills.running(fen.gross)[1][bills.first]


def _merged(used: UtilityState, peaks: UtilityState) -> UtilityState:
    """Counters of usage and of demand in one state, sorted."""
    both = UtilityState.concatenate([used, peaks])
    return both.take(np.lexsort((both.register, both.year, both.account)))
