"""Accepted journeys as TIDES fare_transactions, schema v1.0, CSV.

``amount`` is what the purse paid, in yuan; Σ amount is the cleared net of transit. What the schema has no place for
(gross fare, discounts and their payers, fees, TAC, clearing dates) stays in the ledger.
"""

from __future__ import annotations

import csv
import datetime
import functools
from typing import Any, Final, TextIO

from card_io.records import Mode
from clearing.cards import CardKeys
from clearing.payments.money_text import yuan_of
from clearing.pricing import PriceBook
from clearing.store import Store, sql_text

FIELDS: Final = (
    "transaction_id", "service_date", "event_timestamp", "location_ping_id", "amount", "currency_type", "fare_action",
    "trip_id_performed", "trip_id_scheduled", "pattern_id", "trip_stop_sequence", "scheduled_stop_sequence",
    "vehicle_id", "device_id", "fare_id", "stop_id", "num_riders", "fare_media_id", "rider_category", "fare_product",
    "fare_period", "fare_capped", "token_id", "balance",
)  # fmt: skip

_ZONE: Final = "+08:00"
_CAP_RULE: Final = "cap."
"""How the rules of ``cap`` steps are named (tariffs/transit/accumulators.py)."""


def write(store: Store, prices: PriceBook, keys: CardKeys, out: TextIO) -> None:
    """Write header and one line per accepted journey, by transaction number."""
    writer = csv.DictWriter(out, FIELDS, restval="", lineterminator="\n")
    writer.writeheader()
    token = functools.cache(lambda card_id: keys.token(card_id, "tides"))
    capped = functools.cache(lambda *rule: _capped(prices, *rule))
    for row in store.stream(sql_text("export/fares")):
        writer.writerow(_fare(row, prices, token(row["card_id"]), capped(row["tariff"], row["segment"], row["rule"])))


def _capped(prices: PriceBook, tariff: int, segment: int, rule: int) -> bool:
    """Whether the rule that decided a fare is a cap."""
    if tariff == 0 or rule == 0:
        return False
    return prices.compiled(prices.ids[tariff - 1], segment).rule_names[rule].startswith(_CAP_RULE)


def _fare(row: dict[str, Any], prices: PriceBook, token: str, capped: bool) -> dict[str, object]:
    left_at = row["exit_station"]
    return {
        # File and source row: what `clearing explain` takes.
        "transaction_id": f"{row['txn_id'] >> 32}:{row['txn_id'] & 0xFFFFFFFF}",
        "service_date": row["operating_day"],
        "event_timestamp": _instant(row["txn_time"]),
        "amount": yuan_of(row["amount"]),
        "currency_type": "CNY",
        "fare_action": _action(row),
        "vehicle_id": _text(row["vehicle"]),
        "device_id": f"{row['terminal_id']:012x}",
        "fare_id": prices.ids[row["tariff"] - 1] if row["tariff"] else "",
        "stop_id": _text(row["entry_station"] if left_at is None else left_at),
        "num_riders": 1,
        "fare_media_id": "Smart card or ticket",
        "rider_category": row["register_class"],
        "fare_capped": "true" if capped else "false",
        "token_id": token,
        "balance": "" if row["balance_after"] is None else yuan_of(row["balance_after"]),
    }


def _action(row: dict[str, Any]) -> str:
    """Where the fare was taken: at the exit of a metro, on boarding a bus; other modes have no word of their own."""
    if row["mode"] not in (Mode.METRO, Mode.BUS):
        return "Other"
    leaving = row["mode"] == Mode.METRO
    if row["transfer_flag"] and row["amount"] == 0:
        return "Transfer exit" if leaving else "Transfer entrance"
    return "Exit" if leaving else "Enter"


def _instant(moment: datetime.datetime) -> str:
    return moment.isoformat() + _ZONE


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
