"""A new virtual card from an issuer's masters: the work of a personalisation bureau."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from card_io.keys.entry import ISSUER_KINDS, KeyKind, StoredKey
from card_io.keys.keystore import KeyStore
from card_io.keys.tac_keys import issuer_master
from card_io.layouts.applications import T_UNION_PURSE
from card_io.layouts.commands import PurseLimits
from card_io.layouts.files import Holder, IndustryRecord, Region, TUnionApplication
from card_io.purse.algorithm import CIPHERS
from card_io.records import Algorithm
from card_io.virtual_card.memory import CardMemory, KeySet

INDUSTRY_TAGS: Final = tuple(f"27{number:02X}" for number in range(0x01, 0x13))
"""Tags 2701 … 2712 of file 1A."""
ORDINARY_LIMITS: Final = PurseLimits(cap=100_000, balance=0, overdraft_limit=0, overdraft_used=0)
_MONTHLY_TICKETS: Final = {0x06: bytes(32), 0x07: bytes(15)}
_WITHOUT_PIN, _WITH_PIN = 1, 2


def card_keys(store: KeyStore, issuer_id: str, serial: str, on_date: date) -> dict[int, KeySet]:
    """The card's key sets by index, diversified from the masters of `issuer_id` in `store` valid on `on_date`.

    Of several versions of an index the highest is taken. ValueError when a set is not complete.
    """
    found: dict[int, dict[KeyKind, StoredKey]] = {}
    wanted = (key for key in store.stored(*ISSUER_KINDS) if key.attributes.issuer_id == issuer_id.upper())
    for key in sorted(wanted, key=lambda key: key.attributes.key_version):
        if key.attributes.covers(on_date):
            found.setdefault(key.attributes.key_index, {})[key.attributes.kind] = key
    return {index: _key_set(index, keys, serial) for index, keys in sorted(found.items())}


def _key_set(index: int, masters: Mapping[KeyKind, StoredKey], serial: str) -> KeySet:
    missing = [kind for kind in ISSUER_KINDS if kind not in masters]
    if missing:
        raise ValueError(f"key index {index}: no master for {', '.join(missing)}; add it to the key store")
    first = masters[KeyKind.PURSE_PURCHASE].attributes
    cipher = CIPHERS[Algorithm(int(first.algorithm))]
    factor = bytes.fromhex(serial)[-8:]
    derived = {kind: cipher.diversify(issuer_master(key), factor) for kind, key in masters.items()}
    return KeySet(
        version=first.key_version,
        algorithm=first.algorithm,
        purchase=derived[KeyKind.PURSE_PURCHASE],
        load=derived[KeyKind.PURSE_LOAD],
        unload=derived[KeyKind.PURSE_UNLOAD],
        overdraft=derived[KeyKind.PURSE_OVERDRAFT],
        maintenance=derived[KeyKind.PURSE_MAINTENANCE],
        pin=derived[KeyKind.PURSE_PIN],
        tac_purchase=derived[KeyKind.TAC_PURCHASE],
        tac_load=derived[KeyKind.TAC_LOAD],
    )


def personalise(
    keys: Mapping[int, KeySet],
    *,
    serial: str,
    issuer_id: str,
    valid_from: int = 0x20250101,
    valid_to: int = 0x20451231,
    limits: PurseLimits = ORDINARY_LIMITS,
    pin: bytes = b"",
    city: str = "2900",
    interop: str = "0001",
    card_kind: int = 0,
    industries: Iterable[str] = INDUSTRY_TAGS,
) -> CardMemory:
    """Memory of a new T-Union purse card without a holder's name.

    Args:
        keys: see `card_keys`.
        serial: application serial, 20 digits: a 0 and the 19 digits of the card number.
        issuer_id: eight issuer bytes of file 15 as 16 hexadecimal digits.
        limits: cap, balance, overdraft limit, overdraft used, fen.
        pin: BCD bytes; with a PIN, loads ask for it.
        city, interop, card_kind: as in file 17.

    Raises:
        ValueError: for limits that break JT/T 1356.1, or no key set.
    """
    if violations := limits.violations():
        raise ValueError(f"limits of the purse: {', '.join(violations)} does not hold")
    if not keys:
        raise ValueError("a card needs at least one key set: see `card_keys`")
    application = TUnionApplication(
        issuer_id=issuer_id.upper(),
        application_type=_WITH_PIN if pin else _WITHOUT_PIN,
        application_version=1,
        serial=serial,
        valid_from=valid_from,
        valid_to=valid_to,
    )
    holder = Holder(card_type=0, staff=0, holder_name="", document_number="", document_type=0)
    region = Region(country="00000156", province="3100", city=city, interop=interop, card_kind=card_kind)
    return CardMemory(
        aid=bytes.fromhex(T_UNION_PURSE.aid),
        file_15=application.encode(),
        file_16=holder.encode(),
        file_17=region.encode(),
        keys=dict(keys),
        limits=limits,
        industry={bytes.fromhex(tag): _empty_slot(tag) for tag in industries},
        extensions=_MONTHLY_TICKETS,
        pin=pin,
        pin_for_load=bool(pin),
    )


def _empty_slot(tag: str) -> bytes:
    head = bytes.fromhex(tag) + bytes((0x7D, 1, 1, 0))
    return head.ljust(IndustryRecord.LENGTH, b"\x00")
