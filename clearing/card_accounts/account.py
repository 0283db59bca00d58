"""One card as clearing knows it, read from the projection and the registers."""

from __future__ import annotations

import datetime
from collections import Counter
from typing import Any, Final

from clearing.card_accounts.shadow import Movement, PurseAccount, account_of
from clearing.card_accounts.states import state_on, states_of
from clearing.centre import Centre
from clearing.corrections.subject import CardSubject
from clearing.corrections.templates import Legs
from clearing.status import Disposition
from clearing.store import Store, sql_text

_EPOCH: Final = datetime.datetime(1970, 1, 1)


def movements_of(store: Store, card_id: int) -> list[dict[str, Any]]:
    """Every record of a card that is no repeat, oldest first, as columns of the ledger."""
    return store.records(sql_text("corrections/card_movements"), {"card": card_id})


def purses_of(rows: list[dict[str, Any]]) -> dict[int, PurseAccount]:
    """The account of each purse of a card, of the rows that moved it: accepted, or proved by the card."""
    purses: dict[int, list[Movement]] = {}
    for row in rows:
        if row["service"] == "benefit" or not (row["verified"] or row["disposition"] == Disposition.ACCEPTED):
            continue
        if row["card_counter"] is None and row["amount"] == 0:
            continue
        time = None if row["txn_time"] is None else int((row["txn_time"] - _EPOCH).total_seconds())
        purses.setdefault(int(row["purse_kind"]), []).append(
            Movement(
                row["txn_id"],
                time,
                bool(row["loads"]),
                row["card_counter"],
                row["amount"],
                row["balance_before"],
                row["balance_after"],
                row["overdraft_limit"],
            )
        )
    return {purse: account_of(listed) for purse, listed in sorted(purses.items())}


def card_subject(centre: Centre, store: Store, card_id: int, window: int) -> CardSubject:
    """A card as corrections of its own money look at it; its balances are those of all its purses."""
    rows = movements_of(store, card_id)
    purses = list(purses_of(rows).values())
    accounts: Legs = Counter()
    for kind, participant, source, fen in store.run(sql_text("corrections/card_accounts"), {"card": card_id}):
        accounts[kind, participant, source] = fen
    recorded = [each.row for each in states_of(store, card_id)]
    state = state_on(recorded, centre.registers, card_id, window)
    # A row that only claims to be of the card says nothing of who issued it.
    proven = {row["issuer"] for row in rows if row["verified"] or row["disposition"] == Disposition.ACCEPTED}
    issuers = proven or {row["issuer"] for row in rows}
    own = sorted(centre.chart.own_issuers)
    issuer = issuers.pop() if len(issuers) == 1 else (own[0] if not issuers and len(own) == 1 else 0)
    return CardSubject(
        card_id=card_id,
        issuer=issuer,
        state=state.state,
        state_days=window - state.since,
        balance=_sum([each.card for each in purses]),
        shadow=_sum([each.shadow for each in purses]),
        window=window,
        accounts=accounts,
    )


def _sum(balances: list[int | None]) -> int | None:
    return None if not balances or None in balances else sum(each for each in balances if each is not None)
