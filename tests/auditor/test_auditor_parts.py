"""The auditor's parts against facts from outside this project, and its file outcomes on real files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auditor.centre import FeeSchedule
from auditor.cipher import card_factor, cbc_mac, diversify, mac_key
from auditor.closing import fee_amount, fees_of, largest_remainder
from auditor.columns import OF_SERVICE
from auditor.fares import CLASS_NAMES, Tariff, read_tariffs
from auditor.reading import Deliveries, read_deliveries
from auditor.samples import LIBRARY, row, sample_centre, sample_cipher
from auditor.times import day_of, wall_time


def test_single_des_mac_of_the_published_purchase_and_load() -> None:
    """PBOC vectors of reference/card-standards.md §4.5: MAC1 and MAC2 of a purchase, MAC2 of a load."""
    purchase, load = bytes.fromhex("003238ABC57659DD"), bytes.fromhex("9B1D924E05595603")
    assert cbc_mac(purchase, bytes.fromhex("000010000600112233445520120229135100")) == 0xF15CAB75
    assert cbc_mac(purchase, bytes.fromhex("00001000")) == 0x56988A13
    assert cbc_mac(load, bytes.fromhex("000010000100112233445520111221214822")) == 0x3A845BF0


def test_diversification_of_the_published_pboc_card() -> None:
    key = diversify(bytes.fromhex("C4D689158AD9FB9D23105B91CE046D0E"), card_factor("2011000270735501"))
    assert key.hex().upper() == "B8A15DA5F7043C317D9FD8F8DFE2BD75"


def test_mac_key_is_the_xor_of_the_halves() -> None:
    assert mac_key(bytes.fromhex("00112233445566778899AABBCCDDEEFF")).hex() == "88" * 8


def test_card_factor_takes_the_last_sixteen_digits_and_fills_short_numbers() -> None:
    assert card_factor("3104770000000000001") == bytes.fromhex("4770000000000001")
    assert card_factor("123") == bytes.fromhex("0000000000000123")


@pytest.mark.parametrize(
    ("date4", "time3", "exists"),
    [
        (0x20240229, 0x000000, True),
        (0x20230229, 0x000000, False),
        (0x20991231, 0x235959, True),
        (0x21000101, 0x000000, False),
        (0x19991231, 0x000000, False),
        (0x20240101, 0x240000, False),
        (0x20240101, 0x006000, False),
        (0x2024010A, 0x000000, False),
        (0x20240101, 0x00000A, False),
        (0x00000000, 0x000000, False),
    ],
)
def test_possible_times(date4: int, time3: int, exists: bool) -> None:
    assert (wall_time(date4, time3) is not None) == exists


CITY = ("demo.bike", "demo.bus", "demo.metro", "demo.parking", "demo.taxi")
"""The fares of a new centre: the auditor knows these steps and no others."""


def _inline_tests() -> list[Any]:
    cases = []
    for tariff_id, tariff in sorted(read_tariffs(LIBRARY).items()):
        if tariff_id in CITY:
            tests = yaml.load((LIBRARY / f"{tariff_id}.yaml").read_text("utf-8"), yaml.CSafeLoader)["tests"]
            cases += [pytest.param(tariff, test, id=f"{tariff_id}: {test['name']}") for test in tests]
    return cases


@pytest.mark.parametrize(("tariff", "test"), _inline_tests())
def test_worked_examples_of_the_tariff_files(tariff: Tariff, test: dict[str, Any]) -> None:
    columns = ("entry_station", "exit_station", "gross_fare", "duration_s", "distance_m")
    for given, expected in zip(test["rows"], test["expect"], strict=True):
        value = {"incomplete": 0, **dict.fromkeys(columns), **given}
        card_class = CLASS_NAMES.index(given.get("card_class", "adult"))
        transfer = given.get("transfer", 0) != 0
        price = tariff.price(value, day_of(test["date"]), card_class, transfer=transfer)
        if not expected.get("priced", True):
            assert price is None
            continue
        assert price is not None
        found = {
            "gross": price.gross,
            "card_pays": price.card_pays,
            "fund_pays": price.fund_pays,
            "fund": price.fund_code,
            "operator_bears": price.operator_bears,
        }
        assert found == found | {name: expected[name] for name in found if name in expected}


@pytest.mark.parametrize(("base", "fee"), [(0, 0), (-5, 0), (1, 2), (83, 2), (416, 2), (417, 3), (583, 3), (584, 4)])
def test_fee_rounds_half_up_and_keeps_its_minimum(base: int, fee: int) -> None:
    assert fee_amount(base, FeeSchedule("card_paid", 60, 2, {})) == fee


def test_each_level_is_charged_where_it_ends() -> None:
    """By hand: 60 bps of 84 and 83 fen are 1 and 0, of all 251 together 2; April has not ended and owes nothing."""
    shares = {"issuer": 0, "acquirer": 0, "centre": 1}
    kinds = {1: "transaction", 2: "window", 3: "month"}
    centre = SimpleNamespace(
        id=9,
        fees={level: FeeSchedule("card_paid", 60, 0, shares, level=level) for level in kinds.values()},
        fee_of=lambda merchant, window: kinds[merchant],
        participants={number: SimpleNamespace(acquirer=0) for number in kinds},
        issuers={7: SimpleNamespace(id=10)},
    )
    march_30 = day_of(date(2026, 3, 30))

    def paid(merchant: int, window: int, fen: int, sign: int = 1) -> Any:
        value = {"merchant_id": merchant, "issuer_id": 7}
        return SimpleNamespace(disposition="ACCEPTED", value=value, window=window, sign=sign, card_paid=fen)

    rows = [paid(merchant, march_30, fen) for merchant in kinds for fen in (84, 83, 84)]
    rows += [paid(1, march_30 + 1, 84, -1), paid(3, march_30 + 1, 100), paid(3, march_30 + 2, 100)]
    owed = {key: sum(parts.values()) for key, parts in fees_of(rows, centre, march_30 + 5).items() if parts}
    assert owed == {(march_30, 1): 2, (march_30, 2): 2, (march_30 + 1, 1): -1, (march_30 + 1, 3): 2}


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [(10, [1, 1, 1], [4, 3, 3]), (1, [30, 50, 20], [0, 1, 0]), (2, [1, 1, 2], [1, 0, 1]), (0, [1, 2], [0, 0])],
)
def test_largest_remainder(total: int, weights: list[int], parts: list[int]) -> None:
    assert largest_remainder(total, weights) == parts


SENDER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
Change = Callable[[dict[str, Any]], None]


class Inbox:
    """Writes signed deliveries of the sample sender."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(
        self,
        name: str,
        amounts: list[int],
        *,
        change: Change = lambda _manifest: None,
        change_after_signing: Change = lambda _manifest: None,
        columns: dict[str, list[Any]] | None = None,
        damage: bool = False,
        empty: bool = False,
    ) -> None:
        rows = [row("retail", amount=amount, terminal_counter=n) for n, amount in enumerate(amounts)]
        table = {"card_no": [one.card_no for one in rows]}
        table |= {column: [one.value[column] for one in rows] for column in OF_SERVICE["retail"]}
        table |= columns or {}
        data = self.folder / name
        pq.write_table(_integers(table), data)
        if empty:
            data.write_bytes(b"")
        manifest = {
            "format_version": 1,
            "sender": 200,
            "service": "retail",
            "file_date": "2026-03-02",
            "sequence": len(list(self.folder.iterdir())),
            "file": name,
            "format": "parquet",
            "rows": len(rows),
            "amount_fen": sum(amounts),
            "sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
            "sent_at": f"2026-03-02T20:00:{len(list(self.folder.iterdir())):02}",
        }
        change(manifest)
        signed = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        manifest["signature"] = SENDER_KEY.sign(signed).hex()
        change_after_signing(manifest)
        (self.folder / f"{name}.manifest.json").write_text(json.dumps(manifest), "utf-8")
        if damage:
            data.write_bytes(data.read_bytes()[:-1])

    def deliveries(self) -> Deliveries:
        centre = sample_centre(sample_cipher())
        entry = (SENDER_KEY.public_key().public_bytes_raw(), 0, 2**31)
        centre.senders = {200: [entry], 300: [entry]}
        centre.participants[200] = _with_services(centre.participants[200], ("retail",))
        return read_deliveries(self.folder, centre)


def _with_services(participant: Any, services: tuple[str, ...]) -> Any:
    return type(participant)(id=participant.id, kind=participant.kind, services=services)


def _integers(table: dict[str, list[Any]]) -> pa.Table:
    types = {name: pa.string() if name == "card_no" else pa.int64() for name in table}
    types["issuer_id"] = pa.uint64()
    return pa.table({name: pa.array(values, types[name]) for name, values in table.items()})


REFUSALS: list[tuple[str, dict[str, Any]]] = [
    ("bad_manifest", {"change": lambda m: m.update(unknown=1)}),
    ("bad_manifest", {"change": lambda m: m.update(file="other")}),
    ("bad_manifest", {"change": lambda m: m.update(rows="1")}),
    ("bad_manifest", {"change": lambda m: m.update(file_date="2026-02-30")}),
    ("unknown_sender", {"change": lambda m: m.update(sender=201)}),
    ("unknown_sender", {"change": lambda m: m.update(sender=300)}),
    ("bad_signature", {"change_after_signing": lambda m: m.update(rows=2)}),
    ("bad_signature", {"change_after_signing": lambda m: m.pop("signature")}),
    ("service_not_agreed", {"change": lambda m: m.update(service="transit")}),
    ("unknown_profile", {"change": lambda m: m.update(format="some-other")}),
    ("hash_mismatch", {"damage": True}),
    ("empty_file", {"empty": True}),
    ("wrong_columns", {"columns": {"colour": [1]}}),
    ("count_mismatch", {"change": lambda m: m.update(rows=2)}),
    ("total_mismatch", {"change": lambda m: m.update(amount_fen=201)}),
    ("received", {"change": lambda m: m.update(amount_fen=None)}),
    ("received", {}),
]


@pytest.mark.parametrize(("outcome", "fault"), REFUSALS)
def test_file_outcomes(tmp_path: Path, outcome: str, fault: dict[str, Any]) -> None:
    inbox = Inbox(tmp_path)
    inbox.put("a.parquet", [200], **fault)
    assert inbox.deliveries().outcomes == {"a.parquet": outcome}


def test_files_that_meet_again(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    same_identity: Change = lambda m: m.update(sequence=1)  # noqa: E731
    inbox.put("first", [200, 300], change=same_identity)
    inbox.put("again", [200, 300], change=same_identity)
    inbox.put("identity", [200, 301], change=same_identity)
    inbox.put("content", [200, 300])
    inbox.put("no-rows", [])
    inbox.put("no-rows-either", [])
    (tmp_path / "waits").write_bytes(b"no manifest yet")
    assert inbox.deliveries().outcomes == {
        "first": "received",
        "again": "repeated",
        "identity": "identity_clash",
        "content": "content_clash",
        "no-rows": "received",
        "no-rows-either": "received",
    }


def test_values_that_no_column_holds_are_unreadable(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    inbox.put("a", [200, 200, 200, 200], columns={"amount": [200, -1, 2**32, None], "time3": [0, 0, 0, 0]})
    assert [one.unreadable for one in inbox.deliveries().rows] == [False, True, True, True]
