"""The simulator keeps its promises: determinism, true TACs, unbroken purses, enough faults, no leaked secrets.

Whether the expected statuses follow the rules is the auditor's business (tests/simulation).
"""

from __future__ import annotations

import datetime
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from card_io import mac
from card_io.delivery.inbox import waiting_deliveries
from card_io.delivery.manifest import load_manifest
from card_io.delivery.parquet import read_parquet
from card_io.records import NULL, RecordBlock, Service, card_factor
from clearing.config import load_settings
from clearing.errors import RefusedError
from clearing.initialise import KEYSTORE, initialise_centre
from clearing.simulate import Fault, FaultLevel, simulate_day
from clearing.simulate.fares import FareBook
from clearing.status import ClearingStatus

DAY = datetime.date(2026, 3, 2)
ROWS = 8_000
PASSPHRASE = "correct horse"
QUICK_SCRYPT = 1 << 10


@dataclass(frozen=True)
class Simulated:
    """A centre with simulated days and its truth folder."""

    centre: Path

    @property
    def truth(self) -> Path:
        return self.centre.with_name(self.centre.name + ".truth")

    def totals(self, day: datetime.date = DAY) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.truth / day.isoformat() / "truth.json").read_text("utf-8"))
        return content

    def rows(self, day: datetime.date = DAY) -> pa.Table:
        return pq.read_table(self.truth / day.isoformat() / "rows.parquet")

    def files(self, day: datetime.date = DAY) -> list[Path]:
        """Data files that the centre is to receive, in name order."""
        received = (name for name, outcome in self.totals(day)["files"].items() if outcome == "received")
        return [self.centre / "inbox" / name for name in sorted(received)]

    def blocks(self, day: datetime.date = DAY) -> list[RecordBlock]:
        services = {file: load_manifest(manifest_of(file)).record_service for file in self.files(day)}
        return [block for file, service in services.items() for block, _ in read_parquet(file, service)]


def manifest_of(file: Path) -> Path:
    return file.with_name(file.name + ".manifest.json")


def make(centre: Path, level: FaultLevel, days: int = 1) -> Simulated:
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=QUICK_SCRYPT)
    for number in range(days):
        date = DAY + datetime.timedelta(days=number)
        simulate_day(centre, date=date, transactions=ROWS, seed=11, faults=level, passphrase=PASSPHRASE)
    return Simulated(centre)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return make(tmp_path_factory.mktemp("clean") / "centre", "none", days=2)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return make(tmp_path_factory.mktemp("faulty") / "centre", "default")


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    return make(tmp_path_factory.mktemp("heavy") / "centre", "heavy")


def test_a_day_without_faults_is_accepted_and_has_the_rows_asked_for(clean: Simulated) -> None:
    assert set(clean.totals()["statuses"]) == {"ACCEPTED"}
    assert clean.rows().num_rows == ROWS
    assert set(clean.totals()["services"]) == {service.name.lower() for service in Service}


def test_every_file_decodes_and_is_received_over_two_windows(clean: Simulated) -> None:
    windows = np.bincount(clean.rows().column("window").to_numpy() - (DAY - datetime.date(1970, 1, 1)).days)
    assert windows.sum() == ROWS
    assert windows[0] > 0.95 * ROWS
    assert windows[1] > 0
    assert not waiting_deliveries(clean.centre / "inbox").incomplete
    assert sum(len(block) for block in clean.blocks()) == ROWS


def test_truth_files_describe_the_delivered_rows(faulty: Simulated) -> None:
    rows = faulty.rows()
    names = rows.column("file").to_pylist()
    for file in faulty.files():
        assert names.count(file.name) == load_manifest(manifest_of(file)).rows
    totals = faulty.totals()
    for name, money in totals["statuses"].items():
        here = rows.filter(pa.compute.equal(rows.column("status"), int(ClearingStatus[name])))
        assert (here.num_rows, pa.compute.sum(here.column("amount")).as_py()) == (money["rows"], money["fen"])


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    initialise_centre(first, simulated=True, passphrase=PASSPHRASE, scrypt_n=QUICK_SCRYPT)
    shutil.copytree(first, second)
    asked: dict[str, Any] = {
        "date": DAY,
        "transactions": 2_000,
        "seed": 5,
        "faults": "heavy",
        "passphrase": PASSPHRASE,
    }
    simulate_day(first, **asked)
    truth = Simulated(second).truth
    truth.mkdir()
    shutil.copy(Simulated(first).truth / "keys.json", truth)
    simulate_day(second, **asked)
    for folder in ("inbox", "registers"):
        contents = [
            {path.name: path.read_bytes() for path in (centre / folder).iterdir()} for centre in (first, second)
        ]
        assert contents[0] == contents[1]
    assert Simulated(first).rows().equals(Simulated(second).rows())


def test_tac_verifies_by_the_scalar_twin(clean: Simulated) -> None:
    plain = json.loads((clean.truth / "keys.json").read_text("ascii"))["tac"]
    roots = {(int(k["issuer_id"], 16), k["kind"], k["version"], k["index"]): bytes.fromhex(k["key"]) for k in plain}
    checked = 0
    for block in clean.blocks():
        credit = block.service is Service.LOAD
        for position in np.flatnonzero(block.columns["tac"] != NULL)[:40].tolist():
            row = {name: int(column[position]) for name, column in block.columns.items()}
            kind = "tac_load" if credit else "tac_purchase"
            root = roots[row["issuer_id"], kind, row["key_version"], row["key_index"]]
            master = mac.diversify_key(root, row["issuer_id"].to_bytes(8, "big"))
            factor = int(card_factor(block.card_number[position : position + 1])[0])
            key = mac.diversify_key(master, factor.to_bytes(8, "big"))
            moment = (row["date4"], row["time3"])
            expected = (
                mac.load_tac(
                    key,
                    row["balance_after"],
                    row["card_counter"],
                    row["amount"],
                    row["txn_type"],
                    row["terminal_id"],
                    *moment,
                )
                if credit
                else mac.purchase_tac(
                    key,
                    row["amount"],
                    row["txn_type"],
                    row["terminal_id"],
                    row["terminal_counter"],
                    *moment,
                )
            )
            assert int.from_bytes(expected, "big") == row["tac"]
            checked += 1
    assert checked > 1_000


def purse_moves(simulated: Simulated) -> dict[str, np.ndarray[Any, np.dtype[np.int64]]]:
    """Purse rows of our own cards over both days, ordered by card and time."""
    own = load_settings(simulated.centre).participant(10).issuer_number
    parts: list[list[Any]] = []
    for day in (DAY, DAY + datetime.timedelta(days=1)):
        for block in simulated.blocks(day):
            columns = block.columns
            keep = (columns["txn_type"] != 0) & (columns["issuer_id"] == own)
            credit = np.full(len(block), block.service is Service.LOAD)
            when = columns["date4"].astype(np.int64) << 24 | columns["time3"].astype(np.int64)
            fields = [columns[n] for n in ("card_counter", "amount", "balance_before", "balance_after")]
            parts.append([c[keep] for c in (block.card_number, when, credit, *fields)])
    names = ("card", "when", "credit", "counter", "amount", "before", "after")
    table = {name: np.concatenate(column) for name, column in zip(names, zip(*parts, strict=True), strict=True)}
    order = np.lexsort((table["when"], table["card"]))
    return {name: column[order] for name, column in table.items()}


def test_balances_and_counters_are_unbroken_over_two_days(clean: Simulated) -> None:
    moves = purse_moves(clean)
    signed = np.where(moves["credit"], moves["amount"], -moves["amount"])
    assert (moves["before"] + signed == moves["after"]).all()
    assert moves["after"].min() >= 0
    # Two events of a card in one second have no order of their own.
    settled = np.flatnonzero((moves["card"][1:] == moves["card"][:-1]) & (moves["when"][1:] != moves["when"][:-1]))
    distinct = [i for i in settled.tolist() if moves["when"][i] != moves["when"][i - 1]]
    distinct = [i for i in distinct if i + 2 >= len(moves["when"]) or moves["when"][i + 1] != moves["when"][i + 2]]
    assert len(distinct) > 1_000
    assert (moves["after"][distinct] == moves["before"][np.array(distinct) + 1]).all()
    for credit in (False, True):
        card, counter = (moves[name][moves["credit"] == credit] for name in ("card", "counter"))
        order = np.lexsort((counter, card))
        same = card[order][1:] == card[order][:-1]
        assert (np.diff(counter[order])[same] == 1).all()


@pytest.mark.parametrize("kind", list(Fault), ids=lambda kind: kind.name.lower())
def test_every_kind_of_fault_has_its_cases(kind: Fault, faulty: Simulated) -> None:
    counted = faulty.totals()["faults"][kind.name]
    assert counted >= 20
    assert counted == np.count_nonzero(faulty.rows().column("faults").to_numpy() & kind.bit)


def test_most_rows_of_a_default_day_are_sound(faulty: Simulated) -> None:
    statuses = faulty.totals()["statuses"]
    assert statuses["ACCEPTED"]["rows"] > 0.9 * ROWS
    decided_at_close = {"GREY_PROVEN", "GREY_DISPROVEN"}
    assert set(ClearingStatus.__members__) - {"NOT_PROCESSED"} - decided_at_close == set(statuses)


def test_a_tenth_of_heavy_faulty_rows_carry_several(heavy: Simulated) -> None:
    totals = heavy.totals()
    assert totals["rows_with_several_faults"] >= 0.1 * totals["faulty_rows"]


def test_faulty_files_wait_in_the_inbox(faulty: Simulated) -> None:
    outcomes = set(faulty.totals()["files"].values())
    assert {"repeated", "hash_mismatch", "bad_signature", "identity_clash", "content_clash"} <= outcomes
    names = {delivery.data.name for delivery in waiting_deliveries(faulty.centre / "inbox").deliveries}
    assert names == set(faulty.totals()["files"])


def test_nothing_secret_lies_in_the_centre(faulty: Simulated) -> None:
    plain = json.loads((faulty.truth / "keys.json").read_text("ascii"))
    secrets = [k["key"] for k in plain["tac"]] + list(plain["card_id"].values()) + [plain["sender_seed"]]
    for path in faulty.centre.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(bytes.fromhex(key) in content or key.encode() in content for key in secrets), path
    assert (faulty.truth / "keys.json").stat().st_mode & 0o077 == 0


def test_a_day_is_simulated_once_and_in_order(faulty: Simulated) -> None:
    for date in (DAY, DAY - datetime.timedelta(days=1)):
        with pytest.raises(RefusedError, match="already"):
            simulate_day(faulty.centre, date=date, transactions=10, seed=1, faults="none", passphrase=PASSPHRASE)


def test_a_real_centre_is_not_simulated_into(tmp_path: Path) -> None:
    centre = tmp_path / "real"
    initialise_centre(centre, simulated=False, passphrase=PASSPHRASE, scrypt_n=QUICK_SCRYPT)
    with pytest.raises(RefusedError, match="not simulated"):
        simulate_day(centre, date=DAY, transactions=10, seed=1, faults="none", passphrase=PASSPHRASE)


def test_initialise_refuses_a_folder_in_use(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me", "ascii")
    with pytest.raises(RefusedError, match="not empty"):
        initialise_centre(tmp_path, simulated=True, passphrase=PASSPHRASE, scrypt_n=QUICK_SCRYPT)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_new_centre_has_the_folders_of_the_rules(tmp_path: Path) -> None:
    centre = tmp_path / "new"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=QUICK_SCRYPT)
    assert (centre / KEYSTORE).stat().st_mode & 0o077 == 0
    assert load_settings(centre).centre.simulated
    tariffs = {tariff for p in load_settings(centre).participants for tariff in p.tariffs.values()}
    assert all((centre / "tariffs" / f"{tariff}.yaml").is_file() for tariff in tariffs)
    assert {"inbox", "archive", "segments", "journal", "outbox"} <= {path.name for path in centre.iterdir()}


def test_fares_of_the_demo_bus(clean: Simulated) -> None:
    """Worked by hand from demo.bus.yaml: 2.00 yuan, half for students (the fund bears half of that), 0.40 off."""
    book = FareBook(clean.centre / "tariffs", DAY)
    journeys = {"transfer_flag": np.array([0, 1, 0, 0]), "incomplete": np.zeros(4, np.int64)}
    fares = book.price("demo.bus", journeys, np.array([0, 0, 1, 2]))
    assert fares.card.tolist() == [200, 160, 100, 0]
    assert fares.fund_paid.tolist() == [0, 0, 50, 200]
    assert fares.fund.tolist() == [0, 0, 3, 1]
