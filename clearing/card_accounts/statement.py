"""The statement of one card: what it did, what it holds, what is open about it (rules §16)."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from card_io.keys.keystore import KeyStore
from card_io.records import mask_card
from clearing.card_accounts.account import movements_of, purses_of
from clearing.card_accounts.household import household_cards, household_months
from clearing.card_accounts.states import RecordedState, state_on, states_of
from clearing.cards import CardKeys
from clearing.config import load_settings
from clearing.errors import ClearingError
from clearing.initialise import KEYSTORE
from clearing.ledger.projection import PRIVATE_NAME
from clearing.registers import STILL_LISTED, load_registers
from clearing.status import ClearingStatus, Disposition
from clearing.store import Store, sql_text


@dataclass(frozen=True, slots=True)
class CardStatement:
    """One card's statement; JSON-able, money in fen, the number masked.

    ``transactions`` are its records of the period that are no repeats, ``purses`` the shadow balance of each over all
    records, ``open_items`` money of its transactions that is not where it ends, ``household`` the combined bill of
    its household by month. ``drawn_at`` is the time of the newest journal entry.
    """

    card: str
    card_id: str
    state: str
    states: list[dict[str, Any]]
    blacklisted: list[dict[str, Any]]
    since: str | None
    until: str | None
    transactions: list[dict[str, Any]]
    benefits: list[dict[str, Any]]
    corrections: list[dict[str, Any]]
    purses: list[dict[str, Any]]
    open_items: list[dict[str, Any]]
    deposit_fen: int
    refund_due_fen: int
    household: list[dict[str, Any]]
    drawn_at: str


def card_statement(
    directory: Path,
    number: str,
    *,
    passphrase: str,
    since: datetime.date | None = None,
    until: datetime.date | None = None,
) -> CardStatement:
    """The statement of a card by its number, from the published ledger; no run blocks it.

    Args:
        directory: the centre.
        number: of the card; it is masked in what comes back.
        passphrase: of the key store.
        since, until: operating days of the transactions listed, both included; None = all.

    Raises:
        ClearingError: no number, or the centre knows no such card.
    """
    if not number:
        raise ClearingError("no card number", remedy="type it at the prompt, or write it on standard input")
    settings = load_settings(directory)
    registers = load_registers(directory, settings)
    keys = CardKeys.from_store(KeyStore.unlock(directory / KEYSTORE, passphrase))
    card_id = keys.card_id_of_text(number)
    with Store(directory / PRIVATE_NAME, directory, read_only=True, threads=settings.centre.threads) as ledger:
        rows = movements_of(ledger, card_id)
        wanted = {"card": card_id}
        benefits = ledger.records(sql_text("corrections/card_benefits"), wanted)
        corrections = ledger.records(sql_text("corrections/card_corrections"), wanted)
        open_items = ledger.records(sql_text("corrections/card_open"), wanted)
        recorded = states_of(ledger, card_id)
        own = ledger.run(sql_text("corrections/card_accounts"), wanted)
        [(newest,)] = ledger.run('SELECT MAX("at") FROM journal')
        day = _day(newest)
        months = household_months(ledger, household_cards(registers, card_id, day), card_id)
    state = state_on([each.row for each in recorded], registers, card_id, day)
    if not rows and not benefits and state.state == "unknown":
        raise ClearingError("the centre knows no such card", remedy="check the number; a card shows once it is used")
    held = {kind: sum(fen for name, _, _, fen in own if name == kind) for kind in ("card_deposit", "refund_payable")}
    refunds = sum(each["fen"] for each in open_items if each["kind"] in ("cardholder_payable", "refund_payable"))
    return CardStatement(
        card=mask_card(number),
        card_id=f"{card_id:016x}",
        state=state.state,
        states=[_recorded(each) for each in recorded],
        blacklisted=[
            {"published_at": _time(at), "removed_at": None if until_ == STILL_LISTED else _time(until_)}
            for at, until_ in registers.blacklist.entries_of(card_id)
        ],
        since=None if since is None else since.isoformat(),
        until=None if until is None else until.isoformat(),
        transactions=[_shown(row) for row in rows if row["service"] != "benefit" and _within(row, since, until)],
        benefits=[_plain(each) for each in benefits],
        corrections=[_plain(each) for each in corrections],
        purses=[
            {"purse_kind": kind, **asdict(each), "unseen": each.unseen} for kind, each in purses_of(rows).items()
        ],
        open_items=[_plain(each) for each in open_items],
        deposit_fen=held["card_deposit"],
        refund_due_fen=refunds + held["refund_payable"],
        household=[each for each in months if _of_months(each["period"], since, until)],
        drawn_at="" if newest is None else newest.isoformat(sep=" ", timespec="seconds"),
    )


def _recorded(each: RecordedState) -> dict[str, Any]:
    return {
        "state": each.row.state,
        "since": _date(each.row.since),
        "reason": each.reason,
        "persons": list(each.persons),
        "entry": each.entry,
    }


def _day(at: datetime.datetime | None) -> int:
    return 0 if at is None else (at.date() - datetime.date(1970, 1, 1)).days


def _of_months(period: str, since: datetime.date | None, until: datetime.date | None) -> bool:
    """Whether a billing period "YYYY-MM" lies in the months of a time."""
    return (since is None or period >= f"{since:%Y-%m}") and (until is None or period <= f"{until:%Y-%m}")


def _within(row: dict[str, Any], since: datetime.date | None, until: datetime.date | None) -> bool:
    day = row["operating_day"] or row["window"]
    return (since is None or day >= since) and (until is None or day <= until)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    names = ("txn_id", "service", "txn_time", "window", "merchant_id", "amount", "balance_after", "overcharge")
    return {
        **_plain({name: row[name] for name in names}),
        "loads": bool(row["loads"]),
        "status": ClearingStatus(row["status"]).name,
        "disposition": Disposition(row["disposition"]).name,
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value if value is None or isinstance(value, int) else str(value) for name, value in row.items()}


def _date(day: int) -> str:
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).isoformat()


def _time(seconds: int) -> str:
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)).isoformat()
