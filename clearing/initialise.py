"""A new centre: the folder tree of docs/clearing-rules.md §1, sample settings and tariffs, and a key store."""

from __future__ import annotations

import os
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from card_io.keys.algorithm import KeyAlgorithm
from card_io.keys.components import split
from card_io.keys.entry import KeyKind, KeyScheme
from card_io.keys.keystore import DEFAULT_SCRYPT_N, KeyStore
from card_io.keys.signature import SigningKey, generate_signing_key
from clearing.calendar import HOLIDAYS
from clearing.config import Settings, load_settings
from clearing.errors import RefusedError
from clearing.people import write_key
from clearing.regions import REGIONS_FILE

FOLDERS: Final = (
    "registers",
    "tariffs",
    "profiles",
    "keys",
    "vault",
    "inbox",
    "archive",
    "segments",
    "journal",
    "work",
    "outbox",
    "payments",
    "reports",
    "metrics",
)

KEYSTORE: Final = Path("keys") / "keystore.json"
"""The key store of a centre, relative to its folder."""

CARD_DIGITS: Final = (16, 17, 18, 19)
"""Digit counts of card numbers that get a permutation key; key version 0 hashes opaque texts."""

CARDS_SCHEMA: Final = pa.schema(
    [
        ("card_id", pa.uint64()),
        ("card_class", pa.uint8()),
        ("valid_from", pa.int32()),
        ("valid_to", pa.int32()),
    ]
)
BLACKLIST_SCHEMA: Final = pa.schema(
    [("card_id", pa.uint64()), ("published_at", pa.int64()), ("removed_at", pa.int64())]
)
TERMINALS_HEADER: Final = "terminal_id,merchant_id,valid_from,valid_to\n"
SENDERS_HEADER: Final = "sender,public_key,valid_from,valid_to\n"

_KEYS_VALID_FROM: Final = date(2020, 1, 1)
_TAC_VERSIONS: Final = (1, 2)
_TAC_INDICES: Final = (1, 2)


def initialise_centre(directory: Path, *, simulated: bool, passphrase: str, scrypt_n: int | None = None) -> None:
    """Make `directory` a centre with sample settings, empty registers and fresh keys.

    Args:
        directory: created when absent.
        simulated: mark the centre as simulated, and generate TAC masters for the own issuer and for the first
            counterparty; a real centre imports those.
        passphrase: protects the key store.
        scrypt_n: cost of deriving the store key, a power of two; None for the store's default.

    Raises:
        RefusedError: the folder holds something already.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise RefusedError("the folder is not empty", where=directory, remedy="name a new or an empty folder")
    for folder in FOLDERS:
        (directory / folder).mkdir(parents=True, exist_ok=True)
    _write_settings(directory, _make_people(directory) if simulated else {}, simulated=simulated)
    settings = load_settings(directory)
    _copy_tariffs(directory / "tariffs", settings)
    _write_empty_registers(directory / "registers")
    store = KeyStore.create(directory / KEYSTORE, passphrase, scrypt_n=scrypt_n or DEFAULT_SCRYPT_N)
    _add_centre_keys(store)
    if simulated:
        _add_tac_keys(store, settings)
    store.save()
    _write_key_backup(directory, store)


def _write_key_backup(directory: Path, store: KeyStore) -> None:
    """Beside the centre, two custodians' sheets for the keys without which archive and vault are lost.

    Each sheet alone says nothing; both together give the keys back (``card_io.keys.components``).
    """
    sheets: dict[int, list[str]] = {1: [], 2: []}
    for stored in store.stored(KeyKind.ARCHIVE_KEK, KeyKind.VAULT_KEK, KeyKind.CARD_ID):
        for component in split(stored.attributes.algorithm, stored.secret, 2):
            name = f"{stored.attributes.kind} version {stored.attributes.key_version}"
            sheets[component.number].append(f"{name}: {component.to_text()}")
    folder = directory.with_name(directory.name + ".key-backup")
    folder.mkdir(mode=0o700, exist_ok=True)
    for number, lines in sheets.items():
        sheet = folder / f"custodian-{number}.txt"
        sheet.write_text("\n".join(lines) + "\n", "ascii")
        sheet.chmod(0o600)


def people_folder(directory: Path) -> Path:
    """Where the private keys of a simulated centre's people lie: beside the centre, never in it."""
    return directory.with_name(directory.name + ".people")


SIMULATED_PEOPLE: Final = {
    "reconciler": "{id: reconciler, name: 对账员 林, roles: [reconciler, intake], key: '%s'}",
    "approver.a": "{id: approver.a, name: 审批员 王, roles: [approver], key: '%s'}",
    "approver.b": "{id: approver.b, name: 审批员 李, roles: [approver], key: '%s'}",
    "auditor": "{id: auditor, name: 审计员 陈, roles: [auditor], key: '%s'}",
    "key.officer": "{id: key.officer, name: 密钥管理员 周, roles: [key_officer], key: '%s'}",
}
"""Who acts in a simulated centre; a real one lists its own people."""


def _make_people(directory: Path) -> dict[str, SigningKey]:
    keys = {person: generate_signing_key() for person in SIMULATED_PEOPLE}
    for person, key in keys.items():
        path = people_folder(directory) / f"{person}.key"
        path.unlink(missing_ok=True)
        write_key(path, key)
    return keys


def _write_settings(directory: Path, people: dict[str, SigningKey], *, simulated: bool) -> None:
    template = resources.files("clearing.centre_template").joinpath("centre.yaml").read_text("utf-8")
    text = template.replace("simulated: false", f"simulated: {str(simulated).lower()}", 1)
    if people:
        lines = [SIMULATED_PEOPLE[person] % key.verify_key.to_hex() for person, key in people.items()]
        text = text.replace("people: []\n", "people:\n" + "".join(f"  - {line}\n" for line in lines), 1)
    (directory / "centre.yaml").write_text(text, "utf-8")


def _copy_tariffs(folder: Path, settings: Settings) -> None:
    """The rule files that the new centre's participants name, with their tables, from the library."""
    wanted = {tariff for each in settings.participants for tariff in (*each.tariff_by_mode.values(), each.tariff)}
    for file in resources.files("tariffs").joinpath("library").iterdir():
        if any(file.name.startswith(f"{tariff}.") for tariff in wanted):
            (folder / file.name).write_bytes(file.read_bytes())


def _write_empty_registers(folder: Path) -> None:
    (folder / "terminals.csv").write_text(TERMINALS_HEADER, "ascii")
    (folder / "senders.csv").write_text(SENDERS_HEADER, "ascii")
    holidays = resources.files("clearing.centre_template").joinpath(HOLIDAYS.name)
    (folder / HOLIDAYS.name).write_bytes(holidays.read_bytes())
    regions = resources.files("clearing.centre_template").joinpath(REGIONS_FILE.name)
    (folder / REGIONS_FILE.name).write_bytes(regions.read_bytes())
    pq.write_table(CARDS_SCHEMA.empty_table(), folder / "cards.parquet")
    pq.write_table(BLACKLIST_SCHEMA.empty_table(), folder / "blacklist.parquet")


def _add_centre_keys(store: KeyStore) -> None:
    for digits in CARD_DIGITS:
        store.add(
            KeyKind.CARD_ID,
            os.urandom(16),
            algorithm=KeyAlgorithm.TDES,
            valid_from=_KEYS_VALID_FROM,
            key_version=digits,
        )
    # HMAC-SHA-256 takes any key; it is kept under AES for want of an algorithm of its own.
    store.add(
        KeyKind.CARD_ID,
        os.urandom(32),
        algorithm=KeyAlgorithm.AES,
        valid_from=_KEYS_VALID_FROM,
        key_version=0,
    )
    for kind in (KeyKind.ARCHIVE_KEK, KeyKind.VAULT_KEK):
        store.add(kind, os.urandom(32), algorithm=KeyAlgorithm.AES, valid_from=_KEYS_VALID_FROM)
    store.add(
        KeyKind.CENTRE_SIGNING,
        generate_signing_key().to_bytes(),
        algorithm=KeyAlgorithm.ED25519,
        valid_from=_KEYS_VALID_FROM,
    )


def _add_tac_keys(store: KeyStore, settings: Settings) -> None:
    issuers = [p for p in settings.participants if p.kind == "issuer"]
    issuers += [p for p in settings.participants if p.kind == "counterparty"][:1]
    for issuer in issuers:
        assert issuer.issuer_id is not None
        for kind in (KeyKind.TAC_PURCHASE, KeyKind.TAC_LOAD):
            for version in _TAC_VERSIONS:
                for index in _TAC_INDICES:
                    store.add(
                        kind,
                        os.urandom(16),
                        algorithm=KeyAlgorithm.TDES,
                        valid_from=_KEYS_VALID_FROM,
                        issuer_id=issuer.issuer_id,
                        key_version=version,
                        key_index=index,
                        scheme=KeyScheme.TWO_LEVEL,
                    )
