"""Price again the bills a utility has issued: each after what its account was billed before it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tariffs.columns import NULL, Bools, Ints
from tariffs.needs import remembers
from tariffs.tariff import Tariff
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.pricing import price_utility


@dataclass(frozen=True)
class Rebilled:
    """Answers in the order of the readings.

    ``gross`` fen and ``usage_milli`` (for a purchase, what it buys) int64 (n,); ``rule`` names (n,); ``segment``
    int64 (n,), −1 outside the published days; ``priced``; ``sound``: False where the counters are not known, because
    an earlier reading of the account could not be priced.
    """

    gross: Ints
    usage_milli: Ints
    rule: npt.NDArray[np.object_]
    segment: Ints
    priced: Bools
    sound: Bools
    before: UtilityState | None
    """The counters before the bill asked for."""


def rebill(tariff: Tariff, usages: UtilityUsages, readable: Bools, *, stop_at: Ints | None = None) -> Rebilled:
    """Price readings of accounts whose tariff periods they hold from the first reading on.

    Args:
        tariff: of the utility.
        usages: of any days; in each account the order of ``sequence`` is that of the days.
        readable: readings that lack nothing the tariff reads. The others are not priced and move no counter.
        stop_at: rows of one bill; the counters before it are returned, and nothing behind it is priced.

    Raises:
        TariffKindError: the tariff is of another kind.
    """
    count = len(usages)
    segment = tariff.segment_of(usages.period_day)
    answer = Rebilled(
        gross=np.zeros(count, np.int64),
        usage_milli=np.zeros(count, np.int64),
        rule=np.full(count, "", np.object_),
        segment=segment,
        priced=np.zeros(count, np.bool_),
        sound=np.ones(count, np.bool_),
        before=None,
    )
    last = None if stop_at is None else int(usages.sequence[stop_at].min())
    wanted = readable & (segment >= 0) & (True if last is None else usages.sequence < last)
    state = UtilityState.zeros(0)
    for index in np.unique(segment[wanted]).tolist():
        at = np.flatnonzero(wanted & (segment == index))
        compiled = tariff.compiled[index]
        prices, state = price_utility(compiled, usages.take(at), state)
        _put(answer, prices, np.array(compiled.rule_names, np.object_), at)
    if last is not None:
        return Rebilled(**{**vars(answer), "before": state})
    if any(remembers(each) for each in tariff.segments):
        answer.sound[:] = ~_behind(usages, ~answer.priced)
    return answer


def _put(answer: Rebilled, prices: UtilityPrices, names: npt.NDArray[np.object_], at: Ints) -> None:
    answer.gross[at], answer.usage_milli[at] = prices.gross, prices.usage_milli
    answer.rule[at], answer.priced[at] = names[prices.rule], prices.priced


def _behind(usages: UtilityUsages, unknown: Bools) -> Bools:
    """Readings of another bill than, and behind, one of the same account that is ``unknown``."""
    order = np.lexsort((usages.sequence, usages.account))
    account, bill = usages.account[order], usages.bill[order]
    behind = np.zeros(len(order), np.bool_)
    first_bill, owner = NULL, None
    for place in np.flatnonzero(np.isin(account, usages.account[unknown])).tolist():
        if account[place] != owner:
            owner, first_bill, found = account[place], NULL, False
        behind[order[place]] = found and bill[place] != first_bill
        if unknown[order[place]] and not found:
            found, first_bill = True, bill[place]
    return behind
