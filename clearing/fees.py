"""Fees of merchants at a close, per transaction, window or month (docs/clearing-rules.md §9).

Pure: takings in, rows of the close entry out. Every fee is rounded once at its own level and split into shares that
sum to it. A window's takings that are charged by the month are sealed with its close (``accrued``); the close with
which a month ends charges them from there, so no history is read again.
"""

from __future__ import annotations

import calendar as gregorian
import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from clearing.agreements import FeeSchedule
from clearing.allotment import largest_remainder
from clearing.calendar import date_of, day_number
from clearing.config import RESERVE, Participant, Settings
from clearing.errors import ConfigError
from clearing.ledger.views import of_window
from clearing.posting import AccountKey
from clearing.store import Store

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Takings:
    """What one merchant took from the cards of one issuer in a window: Σ over accepted rows, fen.

    ``rows`` None: all of them together. Else ``rows`` alike, each of that much (below 0: more were taken back).
    """

    merchant: int
    issuer: int
    gross: int
    card_paid: int
    fund_paid: int
    rows: int | None = None


@dataclass
class Fees:
    """What a close charges and notes.

    Attributes:
        rows: merchant, schedule, level, month (its last day, of a fee per month), base, fee, share, participant, fen;
            one per share and participant.
        accrued: window, merchant, schedule, issuer, base, card_paid, to be charged when the month ends.
        months: month, merchant, schedule, base, fee of the months that ended.
    """

    rows: list[Row]
    accrued: list[Row]
    months: list[Row]


def takings_of(store: Store, date: datetime.date, settings: Settings) -> list[Takings]:
    """Accepted money per merchant and issuer of a window, from the segments; of merchants with a fee per transaction
    by equal amounts.
    """
    rows = store.run(of_window(store, "settlement/takings", date), {"window": date})
    single = sorted(
        {row[0] for row in rows if (named := settings.fee_schedule(row[0], date)) and named.level == "transaction"}
    )
    found = [Takings(*row) for row in rows if row[0] not in single]
    if single:
        found += [
            Takings(*row)
            for row in store.run(
                of_window(store, "settlement/equal_takings", date), {"window": date, "merchants": single}
            )
        ]
    return found


def fees_at_close(
    takings: list[Takings], closes: Iterable[Row], settings: Settings, window: int, earlier: int
) -> Fees:
    """The fees of a close.

    Args:
        takings: of the window, of merchants with a fee per transaction by equal amounts.
        closes: bodies of the earlier close entries.
        settings: agreements in force.
        window: day number.
        earlier: the window closed before, or the one before this.

    Raises:
        ConfigError: a schedule that charges by the month is gone before its month has ended.
    """
    date = date_of(window)
    by_merchant: dict[int, list[Takings]] = defaultdict(list)
    for each in takings:
        by_merchant[each.merchant].append(each)
    rows: list[Row] = []
    accrued: list[Row] = []
    for merchant, mine in sorted(by_merchant.items()):
        name, schedule = settings.fee_name(merchant, date), settings.fee_schedule(merchant, date)
        if name is None or schedule is None:
            continue
        if schedule.level == "month":
            accrued += _accrued(window, merchant, name, mine, schedule)
        else:
            rows += _charged(merchant, name, mine, schedule, settings)
    noted = [*(row for body in closes for row in body.get("accrued", ())), *accrued]
    ended = [row for row in noted if earlier < _month_end(row["window"]) <= window]
    charged, months = _monthly(ended, settings)
    return Fees(rows + charged, accrued, months)


def _month_end(window: int) -> int:
    """The last day of a window's month."""
    date = date_of(window)
    return day_number(date.replace(day=gregorian.monthrange(date.year, date.month)[1]))


def _accrued(window: int, merchant: int, name: str, mine: list[Takings], schedule: FeeSchedule) -> list[Row]:
    return [
        {
            "window": window,
            "merchant": merchant,
            "schedule": name,
            "issuer": each.issuer,
            "base": _base(each, schedule),
            "card_paid": each.card_paid,
        }
        for each in sorted(mine, key=lambda each: each.issuer)
    ]


def _charged(merchant: int, name: str, mine: list[Takings], schedule: FeeSchedule, settings: Settings) -> list[Row]:
    """A fee per window, or the sum of one per transaction."""
    times = [1 if each.rows is None else each.rows for each in mine]
    base = sum(_base(each, schedule) * count for each, count in zip(mine, times, strict=True))
    if schedule.level == "transaction":
        fee = sum(_of_one(_base(each, schedule), schedule) * count for each, count in zip(mine, times, strict=True))
    else:
        fee = schedule.amount(base)
    paid: Counter[int] = Counter()
    for each, count in zip(mine, times, strict=True):
        paid[each.issuer] += each.card_paid * count
    return _rows(merchant, name, schedule, base, fee, paid, settings)


def _of_one(base: int, schedule: FeeSchedule) -> int:
    """The fee of one transaction; a cancellation gives back what its settlement was charged."""
    return schedule.amount(base) if base >= 0 else -schedule.amount(-base)


def _monthly(accrued: list[Row], settings: Settings) -> tuple[list[Row], list[Row]]:
    """Fees of months that have ended, per month, merchant and schedule: their rows, and one line for each."""
    rows: list[Row] = []
    lines: list[Row] = []
    months: dict[tuple[int, int, str], list[Row]] = defaultdict(list)
    for row in accrued:
        months[_month_end(row["window"]), row["merchant"], row["schedule"]].append(row)
    for (month, merchant, name), mine in sorted(months.items()):
        schedule = settings.agreements.fees.get(name)
        if schedule is None:
            raise ConfigError(
                f"agreements.fees: {name!r} charges participant {merchant} at the end of the month",
                where="centre.yaml",
                remedy="keep the schedule until the month is closed",
            )
        base = sum(row["base"] for row in mine)
        paid: Counter[int] = Counter()
        for row in mine:
            paid[row["issuer"]] += row["card_paid"]
        shares = _rows(merchant, name, schedule, base, schedule.amount(base), paid, settings)
        rows += [{**share, "month": month} for share in shares]
        fee = sum(share["fen"] for share in shares)
        lines.append({"month": month, "merchant": merchant, "schedule": name, "base": base, "fee": fee})
    return rows, lines


def _rows(
    merchant: int, name: str, schedule: FeeSchedule, base: int, fee: int, paid: Counter[int], settings: Settings
) -> list[Row]:
    """The rows of one fee; shares sum to it exactly, a rebate's and what is taken back are negative."""
    direction = -1 if (schedule.sign == "rebate") != (fee < 0) else 1
    common = {"merchant": merchant, "schedule": name, "level": schedule.level, "month": None, "base": base}
    return [
        {**common, "fee": direction * abs(fee), "share": share, "participant": owner, "fen": direction * fen}
        for share, owner, fen in _shares(abs(fee), schedule, settings.participant(merchant), paid, settings)
    ]


def _base(taking: Takings, schedule: FeeSchedule) -> int:
    return {
        "card_paid": taking.card_paid,
        "gross": taking.gross,
        "card_paid_and_fund_paid": taking.card_paid + taking.fund_paid,
    }[schedule.base]


def _shares(
    fee: int, schedule: FeeSchedule, merchant: Participant, paid: Counter[int], settings: Settings
) -> list[tuple[str, int, int]]:
    order: tuple[Literal["issuer", "acquirer", "centre"], ...] = ("issuer", "acquirer", "centre")
    parts = largest_remainder(fee, [schedule.shares.get(name, 0) for name in order])
    issuers = sorted(paid)
    # What corrections of earlier windows take back can outweigh the day's rides of an issuer.
    weights = [max(paid[issuer], 0) for issuer in issuers]
    rows = [("issuer", *each) for each in zip(issuers, largest_remainder(parts[0], weights), strict=True)]
    acquirer = settings.centre.id if merchant.acquirer is None else merchant.acquirer
    rows += [("acquirer", acquirer, parts[1]), ("centre", settings.centre.id, parts[2])]
    return [row for row in rows if row[2]]


def fee_postings(fees: list[Row], window: int) -> Counter[AccountKey]:
    """merchant_payable → fee_income, out of the reserve until swept."""
    balances: Counter[AccountKey] = Counter()
    for row in fees:
        balances[window, "merchant_payable", row["merchant"], RESERVE] -= row["fen"]
        balances[window, "fee_income", row["participant"], RESERVE] += row["fen"]
    return balances
