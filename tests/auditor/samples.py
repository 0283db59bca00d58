"""A small centre and signed rows for the hand-written cases; every row is genuine until a case changes it."""

from __future__ import annotations

from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from auditor.centre import Centre, settings_of
from auditor.cipher import Cipher, TacKey, card_factor, cbc_mac, diversify, lacks_input, mac_key, wire_message
from auditor.columns import MEDICAL_AMOUNTS, NULLABLE, OF_SERVICE
from auditor.fares import Tariff, read_tariffs
from auditor.model import AuditResult, Row
from auditor.story import audit_rows
from auditor.times import seconds_of

OWN, FOREIGN, KEYLESS = 0x3104770000000001, 0x2150000000000001, 0x5840000000000001
CARD, OTHER_CARD, FOREIGN_CARD = "3104770000000000001", "3104770000000000002", "2150000000000000009"
ROOT = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
CARD_ID_KEYS = {19: bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"), 0: b"opaque texts"}
LIBRARY = Path(__file__).resolve().parents[2] / "tariffs" / "library"

DAY = "2026-03-02"
TODAY = seconds_of(f"{DAY}T00:00:00") // 86400

SETTINGS: dict[str, Any] = {
    "centre": {"id": 1, "simulated": True},
    "calendar": {
        "day_cut": "03:00:00",
        "cut_off": "04:00:00",
        "late_days_max": 30,
        "future_tolerance_seconds": 300,
    },
    "limits": {
        "transit": 100_000,
        "medical": 5_000_000,
        "utility": 5_000_000,
        "retail": 100_000,
        "load": 100_000,
        "benefit": 5_000_000,
    },
    "blacklist_grace_seconds": 86_400,
    "participants": [
        {"id": 1, "kind": "centre"},
        {"id": 10, "kind": "issuer", "issuer_id": f"{OWN:016x}", "cards": "register", "algorithms": ["tdes"]},
        {"id": 20, "kind": "counterparty", "issuer_id": f"{FOREIGN:016x}", "algorithms": ["tdes"]},
        {"id": 21, "kind": "counterparty", "issuer_id": f"{KEYLESS:016x}", "algorithms": ["tdes"]},
        {"id": 200, "kind": "sender", "services": ["transit"]},
        {
            "id": 211,
            "kind": "operator",
            "sender": 200,
            "tariffs": {"bus": "demo.bus", "metro": "demo.metro"},
            "fee": "standard",
            "acquirer": 1,
            "terminals": "registered",
        },
        {"id": 300, "kind": "hospital", "sender": 200, "fee": "standard", "acquirer": 1},
        {"id": 400, "kind": "insurer", "region": 310400, "funds": {"hifp_pay": 411}},
        {"id": 411, "kind": "fund"},
        {"id": 500, "kind": "merchant", "sender": 200, "fee": "standard", "acquirer": 1},
        {"id": 502, "kind": "merchant", "sender": 999},
        {"id": 601, "kind": "merchant", "sender": 200},
        {"id": 611, "kind": "utility", "sender": 200},
        {"id": 701, "kind": "agent", "sender": 200},
        {"id": 901, "kind": "fund", "sender": 200, "services": ["benefit"], "fund": 1},
        {"id": 903, "kind": "fund", "sender": 200, "services": ["benefit"], "fund": 3},
    ],
    "agreements": {
        "verification": [
            {
                "sender": 200,
                "service": "transit",
                "issuer": 21,
                "from": "2026-01-01",
                "to": "2026-12-31",
                "allow": "clear_first",
            },
            {
                "sender": 200,
                "service": "retail",
                "issuer": 10,
                "from": "2026-01-01",
                "to": "2026-12-31",
                "allow": "unverified",
            },
        ],
        "fees": {
            "standard": {
                "base": "card_paid",
                "bps": 60,
                "minimum": 0,
                "shares": {"issuer": 30, "acquirer": 50, "centre": 20},
            }
        },
    },
    "policy": {"dispositions": {}},
}


def sample_cipher() -> Cipher:
    """The keys of our own issuer and of the foreign one, valid from 2020 on."""
    days = (day_of_text("2020-01-01"), day_of_text("2099-12-31"))
    slots = [(issuer, direction) for issuer in (OWN, FOREIGN) for direction in ("debit", "credit")]
    return Cipher([TacKey(issuer, direction, 1, 1, 0, days, ROOT) for issuer, direction in slots], CARD_ID_KEYS)


def day_of_text(text: str) -> int:
    return seconds_of(f"{text}T00:00:00") // 86_400


def sample_centre(cipher: Cipher) -> Centre:
    centre = settings_of(SETTINGS)
    valid = (day_of_text("2020-01-01"), day_of_text("2026-12-31"))
    centre.cards = {cipher.card_id(CARD): [(0, *valid)], cipher.card_id(OTHER_CARD): [(1, *valid)]}
    centre.terminals = {(7, 211): [valid], (8, 211): [(day_of_text("2026-04-01"), valid[1])]}
    return centre


_source_row = count(1)


def row(service: str, *, received: str = f"{DAY}T20:00:00", card: str = CARD, **changes: Any) -> Row:
    """A row with the service's ordinary values, ``changes`` on top; its TAC is right unless given.

    ``time`` (HH:MM:SS) and ``date`` (YYYY-MM-DD) set the raw BCD columns; ``bills`` the child table;
    ``file`` the delivery.
    """
    value = {name: None if name in NULLABLE else 0 for name in OF_SERVICE[service]}
    value |= _ORDINARY | _OF_SERVICE[service]
    time, day = changes.pop("time", "12:00:00"), changes.pop("date", DAY)
    value |= {"date4": int(day.replace("-", ""), 16), "time3": int(time.replace(":", ""), 16)}
    bills, file = changes.pop("bills", []), changes.pop("file", "file")
    if changes.get("txn_type") == 0:
        value |= _NO_PURSE
    unknown = set(changes) - set(value)
    assert not unknown, f"{service} has no column {unknown}"
    value |= changes
    one = Row(file, next(_source_row), 200, service, seconds_of(received), value, card_no=card, bills=bills)
    if "tac" not in changes and value["txn_type"]:
        value["tac"] = _tac(one)
    return one


def _tac(one: Row) -> int | None:
    wire = None if lacks_input(one) else wire_message(one)
    if wire is None:
        return None
    master = diversify(ROOT, one.value["issuer_id"].to_bytes(8, "big"))
    return cbc_mac(mac_key(diversify(master, card_factor(one.card_no))), wire)


_ORDINARY: dict[str, Any] = {
    "issuer_id": OWN,
    "purse_kind": 1,
    "card_counter": 10,
    "txn_type": 6,
    "terminal_id": 7,
    "terminal_counter": 100,
    "amount": 200,
    "balance_before": 5000,
    "balance_after": 4800,
    "key_version": 1,
    "key_index": 1,
}
_NO_PURSE = dict.fromkeys(("card_counter", "terminal_counter", "balance_before", "balance_after"))
_OF_SERVICE: dict[str, dict[str, Any]] = {
    "transit": {"merchant_id": 211, "mode": 2},
    "medical": {
        "merchant_id": 300,
        "region": 310400,
        "institution": 5,
        "settlement_id": 77,
        **dict.fromkeys(MEDICAL_AMOUNTS, 0),
        "medfee_sumamt": 1000,
        "inscp_scp_amt": 1000,
        "hifp_pay": 500,
        "fund_pay_sumamt": 500,
        "psn_part_amt": 500,
        "acct_pay": 300,
        "psn_cash_pay": 200,
    },
    "utility": {"merchant_id": 601},
    "retail": {"merchant_id": 500},
    "load": {"merchant_id": 701, "txn_type": 2, "balance_before": 4800, "balance_after": 5000},
    "benefit": {
        "merchant_id": 901,
        "txn_type": 0,
        "amount": 0,
        **_NO_PURSE,
        "benefit_id": 55,
        "list_id": 3,
        "list_line": 1,
        "granted": 200,
    },
}


def bill(number: int, amount: int) -> dict[str, Any]:
    return {
        "utility_id": 611,
        "bill_id": number,
        "commodity": 1,
        "account": 1,
        "period": 202602,
        "household_size": 3,
        "usage": 1000,
        "bill_amount": amount,
    }


def audited(rows: list[Row], centre: Centre | None = None) -> AuditResult:
    """The audit of rows in the order given, in the sample centre unless another is given."""
    cipher = sample_cipher()
    return audit_rows(rows, centre or sample_centre(cipher), cipher, _library())


@cache
def _library() -> dict[str, Tariff]:
    """The packaged tariffs, read once: they are many by now."""
    return read_tariffs(LIBRARY)
