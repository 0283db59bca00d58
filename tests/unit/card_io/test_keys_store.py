"""The key store: file, passphrase, slots and validity, tampering, the TAC key table."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from card_io import mac
from card_io.keys.algorithm import KeyAlgorithm, check_value, sm4_encrypt
from card_io.keys.entry import KeyAttributes, KeyKind, KeyScheme, StoredKey
from card_io.keys.errors import KeyStoreError
from card_io.keys.keystore import KeyStore
from card_io.keys.passphrase import passphrase_from
from card_io.keys.tac_keys import issuer_master

PASSPHRASE = "三把钥匙 correct horse"
ISSUER = "1010000000000201"
MASTER = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
LOAD_MASTER = MASTER[::-1]
KEK = bytes(range(32))
START, END = date(2024, 1, 1), date(2026, 12, 31)


def leaves(node: Any, trail: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield the path and value of every leaf of a JSON document."""
    if isinstance(node, (dict, list)):
        for key, child in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(child, (*trail, key))
    else:
        yield trail, node


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keystore.json"


@pytest.fixture
def store(path: Path) -> KeyStore:
    """A saved store: a two-level and a one-level purchase master, a load master, an archive KEK."""
    store = KeyStore.create(path, PASSPHRASE, scrypt_n=16)
    tdes = KeyAlgorithm.TDES
    two = KeyScheme.TWO_LEVEL
    store.add(
        KeyKind.TAC_PURCHASE, MASTER, algorithm=tdes, valid_from=START, valid_to=END, issuer_id=ISSUER,
        key_version=1, key_index=2, scheme=two,
    )  # fmt: skip
    store.add(
        KeyKind.TAC_PURCHASE, MASTER, algorithm=tdes, valid_from=date(2027, 1, 1), issuer_id=ISSUER,
        key_version=1, key_index=2,
    )  # fmt: skip
    store.add(
        KeyKind.TAC_LOAD, LOAD_MASTER, algorithm=KeyAlgorithm.SM4, valid_from=START, issuer_id=ISSUER,
        key_version=1, scheme=two,
    )  # fmt: skip
    store.add(KeyKind.ARCHIVE_KEK, KEK, algorithm=KeyAlgorithm.AES, valid_from=START)
    store.save()
    return store


def test_what_was_saved_is_found_again(store: KeyStore, path: Path) -> None:
    again = KeyStore.unlock(path, PASSPHRASE)
    assert again.list() == store.list()
    assert again.find(KeyKind.ARCHIVE_KEK, on_date=START).secret == KEK
    assert [key.secret for key in again.stored(KeyKind.TAC_LOAD)] == [LOAD_MASTER]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_lookup_by_version_index_and_day(store: KeyStore) -> None:
    def scheme(day: date, version: int = 1, index: int = 2, **more: KeyAlgorithm) -> KeyScheme:
        key = store.find(KeyKind.TAC_PURCHASE, ISSUER.lower(), version, index, on_date=day, **more)
        return key.attributes.scheme

    assert scheme(START) is scheme(END) is KeyScheme.TWO_LEVEL
    assert scheme(date(2027, 1, 1)) is scheme(date.max) is KeyScheme.ONE_LEVEL
    for day, more in [
        (date(2023, 12, 31), {}), (START, {"version": 2}), (START, {"index": 1}),
        (START, {"algorithm": KeyAlgorithm.SM4}),
    ]:  # fmt: skip
        with pytest.raises(KeyStoreError, match="0 keys"):
            scheme(day, **more)  # type: ignore[arg-type]


def test_one_key_per_slot_and_day(store: KeyStore) -> None:
    common = {"issuer_id": ISSUER, "key_version": 1, "key_index": 2}
    with pytest.raises(KeyStoreError, match="meets"):
        store.add(KeyKind.TAC_PURCHASE, MASTER, algorithm=KeyAlgorithm.TDES, valid_from=END, **common)  # type: ignore[arg-type]
    store.add(KeyKind.TAC_PURCHASE, MASTER, algorithm=KeyAlgorithm.SM4, valid_from=END, **common)  # type: ignore[arg-type]
    with pytest.raises(KeyStoreError, match="2 keys"):
        store.find(KeyKind.TAC_PURCHASE, ISSUER, 1, 2, on_date=END)
    key = store.find(KeyKind.TAC_PURCHASE, ISSUER, 1, 2, on_date=END, algorithm=KeyAlgorithm.SM4)
    assert key.attributes.kcv == check_value(KeyAlgorithm.SM4, MASTER)


def test_a_key_is_retired_before_its_successor(store: KeyStore, path: Path) -> None:
    (old,) = (key for key in store.list() if key.kind is KeyKind.ARCHIVE_KEK)
    retired = store.retire(old, END)
    store.add(KeyKind.ARCHIVE_KEK, KEK[::-1], algorithm=KeyAlgorithm.AES, valid_from=date(2027, 1, 1))
    store.save()
    again = KeyStore.unlock(path, PASSPHRASE)
    assert again.find(KeyKind.ARCHIVE_KEK, on_date=END) == StoredKey(retired, KEK)
    assert [key.secret for key in again.stored(KeyKind.ARCHIVE_KEK)] == [KEK, KEK[::-1]]
    with pytest.raises(KeyStoreError, match="does not hold"):
        again.retire(old, END)


@pytest.mark.parametrize(
    ("kind", "size", "change"),
    [
        (KeyKind.TAC_PURCHASE, 16, {"issuer_id": "-"}),
        (KeyKind.TAC_PURCHASE, 16, {"issuer_id": "10100000"}),
        (KeyKind.TAC_PURCHASE, 16, {"algorithm": KeyAlgorithm.AES}),
        (KeyKind.TAC_PURCHASE, 24, {}),
        (KeyKind.TAC_PURCHASE, 16, {"key_version": 256}),
        (KeyKind.TAC_PURCHASE, 16, {"valid_to": date(2023, 1, 1)}),
        (KeyKind.ARCHIVE_KEK, 32, {"algorithm": KeyAlgorithm.AES}),
        (KeyKind.ARCHIVE_KEK, 16, {"algorithm": KeyAlgorithm.AES, "issuer_id": "-"}),
        (
            KeyKind.ARCHIVE_KEK,
            32,
            {"algorithm": KeyAlgorithm.AES, "issuer_id": "-", "scheme": KeyScheme.TWO_LEVEL},
        ),
    ],
)
def test_attributes_that_do_not_go_together(
    store: KeyStore, kind: KeyKind, size: int, change: dict[str, object]
) -> None:
    secret = os.urandom(size)
    given = {"algorithm": KeyAlgorithm.TDES, "issuer_id": ISSUER, "key_version": 9, "valid_from": START}
    with pytest.raises(ValueError) as caught:
        store.add(kind, secret, **(given | change))  # type: ignore[arg-type]
    assert secret.hex() not in str(caught.value)
    assert repr(secret) not in str(caught.value)


def test_wrong_passphrase(store: KeyStore, path: Path) -> None:
    with pytest.raises(KeyStoreError, match="passphrase does not open") as caught:
        KeyStore.unlock(path, PASSPHRASE + "!")
    assert caught.value.remedy
    assert PASSPHRASE not in str(caught.value)


def test_composed_and_decomposed_passphrases_are_the_same(path: Path) -> None:
    KeyStore.create(path, "caf\u00e9", scrypt_n=16)
    KeyStore.unlock(path, "cafe\u0301")


def test_change_passphrase(store: KeyStore, path: Path) -> None:
    store.change_passphrase("new", scrypt_n=32)
    store.save()
    assert KeyStore.unlock(path, "new").find(KeyKind.ARCHIVE_KEK, on_date=START).secret == KEK
    with pytest.raises(KeyStoreError):
        KeyStore.unlock(path, PASSPHRASE)


def test_create_does_not_overwrite_and_wants_a_passphrase(store: KeyStore, path: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyStoreError, match="exists already"):
        KeyStore.create(path, PASSPHRASE, scrypt_n=16)
    with pytest.raises(KeyStoreError, match="empty"):
        KeyStore.create(tmp_path / "other.json", "", scrypt_n=16)
    with pytest.raises(ValueError, match="power of two"):
        KeyStore.create(tmp_path / "other.json", "x", scrypt_n=17)


def test_every_altered_value_in_the_file_is_refused(store: KeyStore, path: Path) -> None:
    """Each leaf of the JSON document is changed in turn, hex values in their last digit."""
    original = path.read_text()

    changed = 0
    for trail, value in leaves(json.loads(original)):
        document = json.loads(original)
        parent = document
        for step in trail[:-1]:
            parent = parent[step]
        if isinstance(value, int):
            parent[trail[-1]] = value + 1
        else:
            parent[trail[-1]] = value[:-1] + ("0" if value[-1] != "0" else "1")
        path.write_text(json.dumps(document))
        with pytest.raises(KeyStoreError):
            KeyStore.unlock(path, PASSPHRASE)
        changed += 1
    assert changed > 40


def test_swapped_removed_and_repeated_entries_are_refused(store: KeyStore, path: Path) -> None:
    original = path.read_text()

    def refused(edit: Callable[[list[Any]], object]) -> None:
        document = json.loads(original)
        edit(document["body"]["entries"])
        path.write_text(json.dumps(document))
        with pytest.raises(KeyStoreError, match="altered"):
            KeyStore.unlock(path, PASSPHRASE)

    def swap_secrets(entries: list[Any]) -> None:
        entries[0]["sealed"], entries[1]["sealed"] = entries[1]["sealed"], entries[0]["sealed"]

    refused(swap_secrets)
    refused(lambda entries: entries.pop())
    refused(lambda entries: entries.append(entries[0]))
    refused(lambda entries: entries.reverse())


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"body": {}, "seal": "00"}'])
def test_files_that_are_no_key_store(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(KeyStoreError, match="not a key store"):
        KeyStore.unlock(path, PASSPHRASE)


def test_missing_file(path: Path) -> None:
    with pytest.raises(KeyStoreError, match="cannot be read"):
        KeyStore.unlock(path, PASSPHRASE)


def test_nothing_shown_or_written_is_secret(store: KeyStore, path: Path) -> None:
    key = store.find(KeyKind.ARCHIVE_KEK, on_date=START)
    table = store.tac_key_table()
    shown = [repr(store), repr(key), str(key), repr(store.list()), str(store.list()[0]), repr(table)]
    shown += [path.read_text(), repr(vars(store))]
    secrets = [MASTER, LOAD_MASTER, KEK, *(bytes(row) for row in table.master)]
    for text in shown:
        for secret in secrets:
            assert secret.hex() not in text.lower()
            assert repr(secret) not in text
        assert PASSPHRASE not in text
    assert str(table.master) not in repr(table)
    assert check_value(KeyAlgorithm.AES, KEK) in repr(store.list())


def test_tac_key_table(store: KeyStore) -> None:
    table = store.tac_key_table()
    assert len(table) == 3
    assert table.issuer_id.tolist() == [int(ISSUER, 16)] * 3
    assert table.key_version.tolist() == [1, 1, 1]
    assert table.key_index.tolist() == [0, 2, 2]
    assert table.algorithm.tolist() == [4, 0, 0]
    assert table.is_load.tolist() == [True, False, False]
    days = np.array(["2024-01-01", "2024-01-01", "2027-01-01"], dtype="M8[D]").astype(np.int32)
    assert table.valid_from.tolist() == days.tolist()
    assert table.valid_to.tolist()[1] == int(np.datetime64("2026-12-31").astype(int))
    factor = bytes.fromhex(ISSUER)
    complement = bytes(255 - byte for byte in factor)
    assert bytes(table.master[0]) == sm4_encrypt(LOAD_MASTER, factor + complement)
    assert bytes(table.master[1]) == mac.diversify_key(MASTER, factor)
    assert bytes(table.master[2]) == MASTER
    dtypes = [column.dtype for column in (table.issuer_id, table.key_version, table.is_load, table.valid_to)]
    assert dtypes == [np.uint64, np.uint8, np.bool_, np.int32]
    assert table.master.flags.writeable


def test_tac_key_table_of_a_day(store: KeyStore, tmp_path: Path) -> None:
    assert store.tac_key_table(date(2027, 1, 1)).key_index.tolist() == [0, 2]
    assert store.tac_key_table(date(2023, 1, 1)).master.shape == (0, 16)


def test_two_level_derivation_by_plain_triple_des() -> None:
    """The level-one key equals 3DES of the issuer bytes and of their complement, block by block."""
    attributes = KeyAttributes(
        kind=KeyKind.TAC_PURCHASE, issuer_id=ISSUER, algorithm=KeyAlgorithm.TDES, valid_from=START,
        scheme=KeyScheme.TWO_LEVEL, kcv="",
    )  # fmt: skip
    factor = bytes.fromhex(ISSUER)
    complement = bytes(255 - byte for byte in factor)
    expected = mac.tdes_encrypt(MASTER, factor) + mac.tdes_encrypt(MASTER, complement)
    assert issuer_master(StoredKey(attributes, MASTER)) == expected


def test_passphrase_from_file_and_descriptor(tmp_path: Path) -> None:
    source = tmp_path / "passphrase"
    source.write_text(PASSPHRASE + "\n", "utf-8")
    assert passphrase_from(file=source) == PASSPHRASE
    assert passphrase_from(descriptor=os.open(source, os.O_RDONLY)) == PASSPHRASE
    source.write_text("  inner spaces stay  \r\n", "utf-8")
    assert passphrase_from(file=source) == "  inner spaces stay  "


def test_passphrase_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    latin = tmp_path / "latin"
    latin.write_bytes(b"caf\xe9")
    for file in (empty, latin, tmp_path / "missing"):
        with pytest.raises(KeyStoreError):
            passphrase_from(file=file)
    with pytest.raises(KeyStoreError, match="descriptor"):
        passphrase_from(descriptor=9999)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    with pytest.raises(KeyStoreError, match="no terminal"):
        passphrase_from()


def test_passphrase_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: PASSPHRASE)
    assert passphrase_from() == PASSPHRASE
