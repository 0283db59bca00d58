"""Keys of the simulated world: plain copies beside the centre, and TACs computed under them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.keys.entry import TAC_KINDS, KeyKind, KeyScheme
from card_io.keys.keystore import KeyStore
from card_io.keys.signature import SigningKey
from card_io.records import NULL, Service, card_factor
from clearing.mac import TacInput, compute_tac, diversify_issuer_keys, tdes_encrypt_blocks
from clearing.simulate.city import KEYED, OWN, UNKEYED, City
from clearing.simulate.population import Population
from clearing.simulate.records import TAC_ABSENT, TAC_WRONG
from clearing.simulate.table import Ints, Table

_VERSIONS: Final = (1, 2)
_INDICES: Final = (1, 2)
_OWNER_ONLY: Final = 0o600


@dataclass(frozen=True)
class Secrets:
    """Everything secret the simulator needs; kept out of ``repr`` and of the centre's folder."""

    tac_masters: npt.NDArray[np.uint8] = field(repr=False)
    """Card-level masters, shape (issuers · 2 directions · versions · indices, 16), see :func:`_key_row`."""
    card_id: dict[int, bytes] = field(repr=False)
    """Permutation key by count of digits."""
    sender_seed: bytes = field(repr=False)

    def sender_key(self, sender: int) -> SigningKey:
        """The signing key of a simulated sender, the same on every day."""
        return SigningKey(hashlib.sha256(self.sender_seed + sender.to_bytes(4, "big")).digest())

    def card_ids(self, population: Population) -> npt.NDArray[np.uint64]:
        """The centre's id of each card."""
        ids = np.zeros(len(population), np.uint64)
        for digits in np.unique(population.cards["digits"]).tolist():
            rows = population.cards["digits"] == digits
            ids[rows] = tdes_encrypt_blocks(population.cards["number"][rows], self.card_id[digits])
        return ids


def open_secrets(centre: Path, keystore: Path, truth: Path, city: City, passphrase: str) -> Secrets:
    """The keys of a simulated centre.

    On the first day they are taken from the key store and written in plain hex to ``keys.json`` in the truth
    folder, together with keys made up for the issuer whose keys the centre does not hold and for the senders.
    """
    path = truth / "keys.json"
    if not path.exists():
        store = KeyStore.unlock(centre / keystore, passphrase)
        path.write_text(json.dumps(_plain_keys(store, city), indent=1), "ascii")
        path.chmod(_OWNER_ONLY)
    plain = json.loads(path.read_text("ascii"))
    roots = {(k["issuer_id"], k["kind"], k["version"], k["index"]): bytes.fromhex(k["key"]) for k in plain["tac"]}
    slots = [
        (city.issuers[issuer].issuer_id, str(kind), version, index)
        for issuer in (OWN, KEYED, UNKEYED)
        for kind in TAC_KINDS
        for version in _VERSIONS
        for index in _INDICES
    ]
    table = np.frombuffer(b"".join(roots[slot] for slot in slots), np.uint8).reshape(-1, 16)
    issuers = np.array([int(str(slot[0]), 16) for slot in slots], np.uint64)
    card_id = {int(digits): bytes.fromhex(key) for digits, key in plain["card_id"].items() if digits != "0"}
    return Secrets(diversify_issuer_keys(table, issuers), card_id, bytes.fromhex(plain["sender_seed"]))


def _plain_keys(store: KeyStore, city: City) -> dict[str, Any]:
    tac = [
        {
            "issuer_id": key.attributes.issuer_id,
            "kind": str(key.attributes.kind),
            "version": key.attributes.key_version,
            "index": key.attributes.key_index,
            "key": key.secret.hex(),
        }
        for key in store.stored(*TAC_KINDS)
        if key.attributes.scheme is KeyScheme.TWO_LEVEL
    ]
    tac += [
        {
            "issuer_id": city.issuers[UNKEYED].issuer_id,
            "kind": str(kind),
            "version": version,
            "index": index,
            "key": os.urandom(16).hex(),
        }
        for kind in TAC_KINDS
        for version in _VERSIONS
        for index in _INDICES
    ]
    card_id = {str(key.attributes.key_version): key.secret.hex() for key in store.stored(KeyKind.CARD_ID)}
    return {"tac": tac, "card_id": card_id, "sender_seed": os.urandom(32).hex()}


def _key_row(rows: Table, population: Population) -> npt.NDArray[np.int32]:
    """Row of ``tac_masters`` of each record's true key, whatever key version the record claims."""
    credit = rows["service"] == Service.LOAD
    version = population.cards["key_version"][rows["card"]].astype(np.int32) - 1
    index = population.cards["key_index"][rows["card"]].astype(np.int32) - 1
    row: npt.NDArray[np.int32] = ((rows["issuer"].astype(np.int32) * 2 + credit) * 2 + version) * 2 + index
    return row.astype(np.int32)


def authenticate(
    rows: Table,
    date4: npt.NDArray[np.uint32],
    time3: npt.NDArray[np.uint32],
    population: Population,
    secrets: Secrets,
    rng: np.random.Generator,
) -> Ints:
    """The TAC each record carries: what the card computed, another value, or none (:data:`NULL`)."""
    inputs = TacInput(
        amount=rows["amount"],
        txn_type=rows["txn_type"],
        terminal_id=rows["terminal_id"],
        terminal_counter=rows["terminal_counter"].astype(np.uint32),
        date4=date4,
        time3=time3,
        new_balance=rows["after"].astype(np.uint32),
        online_counter=rows["counter"].astype(np.uint16),
        factor=card_factor(population.cards["number"][rows["card"]]),
        key_row=_key_row(rows, population),
    )
    tac = compute_tac(inputs, secrets.tac_masters).astype(np.int64)
    wrong = rows["tac"] == TAC_WRONG
    tac[wrong] ^= rng.integers(1, 2**32, int(wrong.sum()))
    tac[rows["tac"] == TAC_ABSENT] = NULL
    return tac
