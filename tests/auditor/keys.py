"""The keys of a simulated centre: which ones it holds, by its key store, and their plain values, by the truth.

The truth knows more keys than the centre: those of issuers that never exchanged any. The key store lists in
the open which keys it holds and when they are valid; their secrets stay sealed there.
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from auditor.cipher import Cipher, TacKey
from auditor.times import day_of

DIRECTIONS = {"tac_purchase": "debit", "tac_load": "credit"}


def read_cipher(centre: Path, truth: Path) -> Cipher:
    plain = json.loads((truth / "keys.json").read_text("utf-8"))
    roots = {
        (key["kind"], int(key["issuer_id"], 16), key["version"], key["index"]): bytes.fromhex(key["key"])
        for key in plain["tac"]
    }
    store = json.loads((centre / "keys" / "keystore.json").read_text("utf-8"))
    held = [entry["attributes"] for entry in store["body"]["entries"]]
    tac_keys = [
        TacKey(
            issuer_id=int(key["issuer_id"], 16),
            direction=DIRECTIONS[key["kind"]],
            version=key["key_version"],
            index=key["key_index"],
            algorithm=key["algorithm"],
            days=(_day(key["valid_from"]), _day(key["valid_to"])),
            root=roots[key["kind"], int(key["issuer_id"], 16), key["key_version"], key["key_index"]],
            two_level=key["scheme"] == "two_level",
        )
        for key in held
        if key["kind"] in DIRECTIONS
    ]
    return Cipher(tac_keys, {int(digits): bytes.fromhex(key) for digits, key in plain["card_id"].items()})


def _day(text: str) -> int:
    return day_of(date.fromisoformat(text))
