"""Balances, fees and net positions of the windows (rules §9)."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping

from auditor.centre import Centre, FeeSchedule, Participant
from auditor.model import Account, Leg, Row
from auditor.posting import MEMO_KINDS, RESERVE

Balances = dict[tuple[int, str, int, int], int]
Shares = dict[tuple[str, int], int]
ROLES = ("issuer", "acquirer", "centre")


def balances_of(rows: Iterable[Row]) -> Balances:
    """(window, kind, participant, source) → fen, credit positive."""
    balances: Balances = defaultdict(int)
    for row in rows:
        for (kind, participant, source), amount in row.legs:
            balances[row.window, kind, participant, source] += amount
        for window, ((kind, participant, source), amount) in row.reversed:
            balances[window, kind, participant, source] += amount
    return dict(balances)


def fees_of(rows: Iterable[Row], centre: Centre, last: int) -> dict[tuple[int, int], Shares]:
    """(window, merchant) → shares of its fees by (role, participant); every window up to ``last`` is closed."""
    charged: dict[tuple[int, int, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row.disposition == "ACCEPTED" and (name := centre.fee_of(row.value["merchant_id"], row.window)):
            by_month = centre.fees[name].level == "month"
            charged[month_end(row.window) if by_month else row.window, row.value["merchant_id"], name].append(row)
    fees: dict[tuple[int, int], Shares] = {}
    for (window, number, name), its_rows in charged.items():
        if window > last:
            continue
        merchant, schedule = centre.participants[number], centre.fees[name]
        for who, amount in _shares(its_rows, merchant, schedule, centre).items():
            shares = fees.setdefault((window, number), {})
            shares[who] = shares.get(who, 0) + (-amount if schedule.rebate else amount)
    return fees


def month_end(day: int) -> int:
    """The last day of a day's month."""
    date = datetime.date(1970, 1, 1) + datetime.timedelta(day)
    following = (date.replace(day=28) + datetime.timedelta(4)).replace(day=1)
    return (following - datetime.date(1970, 1, 1)).days - 1


def _fee(rows: list[Row], schedule: FeeSchedule) -> int:
    """One fee for all of them together, or the sum of one for each; what is taken back gives its own back."""
    if schedule.level != "transaction":
        return fee_amount(sum(row.sign * _base(row, schedule.base) for row in rows), schedule)
    fee = 0
    for row in rows:
        base = _base(row, schedule.base)
        fee += row.sign * (fee_amount(base, schedule) if base >= 0 else -fee_amount(-base, schedule))
    return fee


def _shares(rows: list[Row], merchant: Participant, schedule: FeeSchedule, centre: Centre) -> Shares:
    fee = _fee(rows, schedule)
    if fee < 0:
        return {who: -amount for who, amount in _split(-fee, rows, merchant, schedule, centre).items()}
    return _split(fee, rows, merchant, schedule, centre) if fee else {}


def _split(fee: int, rows: list[Row], merchant: Participant, schedule: FeeSchedule, centre: Centre) -> Shares:
    weights = [schedule.shares.get(role, 0) for role in ROLES]
    issuer_share, acquirer_share, centre_share = largest_remainder(fee, weights)
    card_paid: dict[int, int] = defaultdict(int)
    for row in rows:
        card_paid[centre.issuers[row.value["issuer_id"]].id] += row.sign * row.card_paid
    issuers = sorted(number for number, amount in card_paid.items() if amount > 0)
    shares: Shares = {}
    if issuers:
        parts = largest_remainder(issuer_share, [card_paid[number] for number in issuers])
        shares.update({("issuer", number): part for number, part in zip(issuers, parts, strict=True)})
    elif card_paid:
        shares["issuer", min(card_paid)] = issuer_share
    shares["acquirer", merchant.acquirer or centre.id] = acquirer_share
    shares["centre", centre.id] = centre_share
    return {who: amount for who, amount in shares.items() if amount}


def _base(row: Row, base: str) -> int:
    if base == "card_paid":
        return row.card_paid
    if base == "gross":
        return row.gross
    if base in ("card_paid_and_fund_paid", "card_paid + fund_paid"):
        return row.card_paid + row.fund_paid
    raise ValueError(f"fee base {base} is not in the rules")


def fee_amount(base: int, schedule: FeeSchedule) -> int:
    if base <= 0:
        return 0
    weighted, rate, below = 0, schedule.bps, 0
    for above, bps in schedule.tiers:
        weighted += max(min(base, above) - below, 0) * rate
        rate, below = bps, above
    weighted += max(base - below, 0) * rate
    fee = max(schedule.minimum, schedule.fixed + (weighted + 5000) // 10_000)
    return fee if schedule.maximum is None else min(fee, schedule.maximum)


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    """``total`` in proportion to ``weights``, exactly; odd fen by largest remainder, ties to the earlier."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: -(total * weights[i] % whole))
    for position in by_remainder[: total - sum(parts)]:
        parts[position] += 1
    return parts


def fee_legs(merchant: int, shares: Shares) -> list[Leg]:
    """merchant_payable gives the whole fee, fee_income takes the shares."""
    legs: list[Leg] = [(("merchant_payable", merchant, RESERVE), -sum(shares.values()))]
    legs += [(("fee_income", participant, RESERVE), amount) for (_, participant), amount in shares.items()]
    return legs


def close(balances: Balances, fees: dict[tuple[int, int], Shares]) -> Balances:
    """The balances of the rows with the fee legs of every window."""
    closed = defaultdict(int, balances)
    for (window, merchant), shares in fees.items():
        for (kind, participant, source), amount in fee_legs(merchant, shares):
            closed[window, kind, participant, source] += amount
    return dict(closed)


def by_window(windows: Mapping[int, Mapping[Account, int]]) -> Balances:
    """Accounts of every window as (window, kind, participant, source) → fen."""
    return {(day, *account): fen for day, amounts in windows.items() for account, fen in amounts.items()}


def positions_of(closed: Balances) -> dict[tuple[int, int, int], int]:
    """(window, participant, source) → net fen over all accounts but memo ones."""
    positions: dict[tuple[int, int, int], int] = defaultdict(int)
    for (window, kind, participant, source), amount in closed.items():
        if kind not in MEMO_KINDS:
            positions[window, participant, source] += amount
    return dict(positions)
