"""Every card dump that nobody here wrote decodes to its stated contents, and encodes back to its bytes."""

from __future__ import annotations

import datetime
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from card_io.layouts import (
    Balance,
    CityUnionApplication,
    DebitAnswer,
    DebitData,
    IndustryRecord,
    JourneyRecord,
    LogRecord,
    ProveAnswer,
    PurchaseInitAnswer,
    PurseLimits,
    ShenzhenApplication,
    TransactionInit,
    TUnionApplication,
    application,
    directory_entries,
    japan_ic,
    octopus,
    overseas,
    read_fci,
)

pytestmark = pytest.mark.external

Answered = Callable[[int], None]


@pytest.fixture(scope="module")
def cards(shared_data: Path) -> Path:
    return shared_data / "cards"


def _load(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def _hex(text: str) -> bytes:
    return bytes.fromhex(text)


def test_t_union_logs(cards: Path, answered: Answered) -> None:
    shanghai, empty = _load(cards / "tunion-logs" / "coreextendednfc_tunion_cards.json")["cards"]
    for card in (shanghai, empty):
        selected = read_fci(_hex(card["select_fci"]))
        assert selected.application.en == "T-Union purse"
        assert isinstance(selected.file_15, TUnionApplication)
        assert selected.fci.encode() == _hex(card["select_fci"])
        records = [LogRecord.decode(_hex(each)) for each in card["sfi18_records_newest_first"]]
        assert [each.encode().hex().upper() for each in records] == card["sfi18_records_newest_first"]
        if card is shanghai:
            assert [(each.counter, each.txn_type, each.date4) for each in records] == [
                (2, 2, 0x20200115),
                (1, 2, 0x20200115),
            ]
        else:
            assert all(each.is_empty for each in records)
        answered(len(records) + 3)
    assert Balance.decode(_hex(shanghai["balance_805C0002"])).balance == 800
    assert Balance.decode(_hex(empty["balance_805C0002"])).balance == 0


def test_emulator_journeys(cards: Path, answered: Answered) -> None:
    """264 journey records of 74 cities; the answers were cut out of them by another program."""
    rows = _load(cards / "cardemulator" / "tunion_emulator_records.json")["sfi1E_records_48B"]
    for row in rows:
        record, stated = JourneyRecord.decode(_hex(row["hex"])), row["decoded"]
        assert {
            "type": f"{record.kind:02X}",
            "terminal": record.terminal,
            "industry": f"{record.mode:02X}",
            "line_site": record.line + record.site,
            "amount": record.amount,
            "balance": record.balance,
            "time": f"{record.time:014X}",
            "city": record.city,
            "institution": record.institution,
            "tail": record.tail,
        } == stated
        assert record.encode() == _hex(row["hex"])
    assert len(rows) == 264
    columns = JourneyRecord.columns(b"".join(_hex(row["hex"]) for row in rows))
    assert columns["amount"].tolist() == [row["decoded"]["amount"] for row in rows]
    answered(sum(len(row["decoded"]) for row in rows))


def test_emulator_logs_and_industry_records(cards: Path, answered: Answered) -> None:
    content = _load(cards / "cardemulator" / "tunion_emulator_records.json")
    logs = [row["hex"] for row in content["sfi18_records_23B"]]
    for text in logs:
        assert LogRecord.decode(_hex(text)).encode().hex().upper() == text
    # The one that is no log record is a SELECT answer of the same length, which the source's list caught too.
    [stray] = [text for text in logs if text.startswith("6F15")]
    assert read_fci(_hex(stray)).application.en == "PUB directory"
    for text in content["sfi1A_records_128B"]:
        record = IndustryRecord.decode(_hex(text))
        assert record.encode().hex().upper() == text
        assert (record.tag, record.length, record.valid) in (("2701", 0x7D, 1), ("2702", 0x7D, 1))
        assert record.exit_time > record.entry_time
    answered(len(logs) + 3 * len(content["sfi1A_records_128B"]))


def test_emulator_selections(cards: Path, answered: Answered) -> None:
    content = _load(cards / "cardemulator" / "tunion_emulator_records.json")
    names = {
        "ppse_select": "PPSE directory",
        "tunion_select": "T-Union purse",
        "szt_select": "Shenzhen Tong",
        "cityunion_select": "CityUnion purse",
        "hangzhou_cu_select": "CityUnion purse",
        "suzhou_select": "Suzhou",
        "yct_ticl_select": "Yang Cheng Tong",
    }
    assert {key: read_fci(_hex(text)).application.en for key, text in content["select_responses"].items()} == names
    assert [application(aid).aid for aid in directory_entries(_hex(content["select_responses"]["ppse_select"]))] == [
        "A000000632010106",
        "A000000632010105",
    ]
    files = {
        "TU_BJ": TUnionApplication,
        "TU_NANTONG": TUnionApplication,
        "TU_SH": TUnionApplication,
        "TYPE_SUZ": TUnionApplication,
        "TYPE_SZT": ShenzhenApplication,
        "TYPE_SPTC": CityUnionApplication,
    }
    for key, layout in files.items():
        decoded = layout.decode(_hex(content["file15_or_similar"][key]))
        assert decoded.encode().hex().upper() == content["file15_or_similar"][key]
        assert 0x20100101 < decoded.valid_from < decoded.valid_to  # type: ignore[attr-defined]
    # Not in any form that is documented: Hangzhou (51 bytes), old Beijing (32), Zhenjiang (44).
    assert content["file15_or_similar"].keys() - files.keys() == {"TYPE_HZ", "TYPE_BJ", "TYPE_ZHENJIANG"}
    answered(len(names) + len(files) + 2)


def test_relay_trace_arithmetic(cards: Path, answered: Answered) -> None:
    """Ten debits nobody captured lie between the two captures: counter and balance agree (§2.4)."""
    [trace] = [each for each in _load(cards / "apdu-traces.json")["traces"] if each["id"] == "nfcgate-pbocpurse"]
    steps = dict(trace["steps"])
    command = _hex("805003020B01000000C8200041599997")
    first = PurchaseInitAnswer.decode(_hex(steps[command.hex().upper()])[:15])
    second = PurchaseInitAnswer.decode(_hex(steps["(second) 8050.."]))
    amount = TransactionInit.decode(command[5:]).amount
    assert (first.balance, first.offline_counter, second.balance, second.offline_counter) == (
        90799,
        0x36,
        88599,
        0x41,
    )
    assert amount == 200
    missing = second.offline_counter - first.offline_counter - 1
    assert missing == 10
    assert first.balance - amount - missing * amount == second.balance
    debit = DebitData.decode(_hex("000000572018031316432966CBC863"))
    later = DebitData.decode(_hex("00000062201803132104383F3F3B5D"))
    assert later.terminal_counter - debit.terminal_counter == second.offline_counter - first.offline_counter
    assert DebitAnswer.decode(_hex("C630C2C8ABCC913B")).tac == "C630C2C8"
    answered(8)


def test_other_traces(cards: Path, answered: Answered) -> None:
    traces = {each["id"]: each["steps"] for each in _load(cards / "apdu-traces.json")["traces"]}
    balance, log, journey = (_hex(answer) for _, answer in traces["tunion-master-doc"])
    entry = LogRecord.decode(log)
    assert Balance.decode(balance).balance == 0x0AC3
    assert (entry.counter, entry.amount, entry.txn_type) == (0x042D, 500, 9)
    ride = JourneyRecord.decode(journey[:48])
    assert (ride.kind, ride.amount, ride.balance) == (4, 500, 0x0E01)
    assert f"{ride.time:X}" == f"{entry.date4:X}{entry.time3:X}"
    prove = ProveAnswer.decode(_hex(traces["etc-obu-debit"][1][1])[:8])
    assert (prove.mac, prove.tac) == ("0410385D", "807979F8")
    answered(7)


def test_calibration_cards(cards: Path, answered: Answered) -> None:
    cases = _load(cards / "jtt1356-calibration-cards.json")["cases"]
    corners = set()
    for case in cases:
        raw = _hex(case["cap"] + case["balance"] + case["overdraft_limit"] + case["overdraft_used"])
        purse = PurseLimits.decode(raw)
        assert purse.violations() == ()
        assert purse.encode() == raw
        assert purse.shown_balance == int(case["balance"], 16) - int(case["overdraft_used"], 16)
        corners.add(raw)
    assert (len(cases), len(corners)) == (54, 6)
    answered(len(cases) * 2 + 1)


def test_japan_ic(cards: Path, answered: Answered) -> None:
    for card in _load(cards / "japan-ic" / "coreextendednfc_japan_ic.json")["cards"]:
        balance = japan_ic.BalanceBlock.decode(_hex(card["balance_block_008B"]))
        blocks = [japan_ic.HistoryBlock.decode(_hex(each)) for each in card["history_090F_newest_first"]]
        assert [each.encode().hex().upper() for each in blocks] == card["history_090F_newest_first"]
        used = [each for each in blocks if not each.is_empty]
        assert (balance.balance, balance.serial) == (used[0].balance, used[0].serial)
        days = [each.day() for each in used]
        assert days == sorted(days, reverse=True)
        steps = {newer.serial - older.serial for newer, older in itertools.pairwise(used)}
        assert steps <= {1, 2}
        answered(2 * len(used) + 2)


def test_octopus(cards: Path, answered: Answered) -> None:
    content = _load(cards / "octopus" / "coreextendednfc_octopus.json")
    block = octopus.BalanceBlock.decode(_hex(content["block0"]))
    assert f"{block.hong_kong_cents / 100:.2f}" == content["displayed_hkd"]
    answered(1)


def _seconds(text: int, offset_hours: int) -> int:
    zone = datetime.timezone(datetime.timedelta(hours=offset_hours))
    return int(datetime.datetime.strptime(f"{text:014X}", "%Y%m%d%H%M%S").replace(tzinfo=zone).timestamp())


def test_t_money(cards: Path, answered: Answered) -> None:
    folder = cards / "metrodroid-assets"
    [[_, dump]] = _load(folder / "tmoney" / "oldtmoney.json")["iso7816"]["applications"]
    parsed = _load(folder / "parsed" / "oldtmoney.json")
    files = dump["generic"]["files"]
    purse = overseas.TMoneyPurse.decode(_hex(dump["generic"]["appFci"])[4:51])
    [balance] = parsed["balances"]
    assert purse.serial == parsed["serialNumber"].replace(" ", "")
    epoch = datetime.date(1970, 1, 1)
    days = [datetime.date.fromisoformat(f"{day:08X}") for day in (purse.issued, purse.expires)]
    assert [(day - epoch).days for day in days] == [
        balance["validFrom"]["daysSinceEpoch"],
        balance["validTo"]["daysSinceEpoch"],
    ]
    info = {each["text1"]: each["text2"] for each in parsed["info"]}
    assert info["Maximum balance"] == str(purse.balance_limit)
    assert info["Authentication ID"] == hex(int(purse.authentication_id))
    assert info["One-time transaction limit"] == str(purse.transaction_limit)
    records = [overseas.TMoneyRecord.decode(_hex(each)) for each in files["#d4100000030001:4"]["records"].values()]
    moved = [each for each in records if each.amount]
    assert moved[0].balance == balance["balance"]["value"]
    for record, trip in zip(moved, parsed["trips"], strict=True):
        signed = record.amount if record.kind == 1 else -record.amount
        assert (signed, f"balance={record.balance}") == (trip["fare"]["value"], trip["rawFieldsFull"])
        if record.kind == 1:
            assert _seconds(record.time, 9) * 1000 == trip["startTimestamp"]["timeInMillis"]
    answered(7 + 3 * len(moved))


def test_easy_card(cards: Path, answered: Answered) -> None:
    folder = cards / "metrodroid-assets"
    raw = (folder / "easycard" / "deadbeef.mfc").read_bytes()
    parsed = _load(folder / "parsed" / "deadbeef.json")
    block = [raw[16 * number : 16 * number + 16] for number in range(64)]
    assert overseas.EasyCardPurse.decode(block[8]).balance == parsed["balances"][0]["value"]
    load, entry, bus, leave = (overseas.EasyCardRecord.decode(block[number]) for number in (10, 16, 17, 13))
    metro_trip, bus_trip, load_trip = parsed["trips"]
    assert entry.time * 1000 == metro_trip["startTimestamp"]["timeInMillis"]
    assert leave.time * 1000 == metro_trip["endTimestamp"]["timeInMillis"]
    assert hex(entry.station) == metro_trip["startStation"]["humanReadableId"]
    assert hex(leave.station) == metro_trip["endStation"]["humanReadableId"]
    assert leave.amount == metro_trip["fare"]["value"]
    assert hex(entry.machine) == metro_trip["machineID"]
    assert (bus.time * 1000, bus.amount) == (bus_trip["startTimestamp"]["timeInMillis"], bus_trip["fare"]["value"])
    assert hex(bus.machine) == bus_trip["machineID"]
    assert (load.time * 1000, -load.amount) == (
        load_trip["startTimestamp"]["timeInMillis"],
        load_trip["fare"]["value"],
    )
    assert (hex(load.machine), hex(load.station)) == (
        load_trip["machineID"],
        load_trip["startStation"]["humanReadableId"],
    )
    assert load.balance == 245
    answered(13)


def test_opal(cards: Path, answered: Answered) -> None:
    folder = cards / "metrodroid-assets"
    files = _load(folder / "opal" / "opal-transit-litter.json")["mifareDesfire"]["applications"]["3229011"]["files"]
    parsed = _load(folder / "parsed" / "opal-transit-litter.json")
    card = overseas.OpalCard.decode(_hex(files["7"]["data"]))
    info = {each["text1"]: each.get("text2") for each in parsed["info"]}
    assert card.balance_cents == parsed["balances"][0]["value"]
    assert str(card.weekly_trips) == info["Weekly trips"]
    assert str(card.counter) == info["Transaction counter"]
    assert str(datetime.date(1980, 1, 1) + datetime.timedelta(card.day)) == info["Date"]
    assert f"{card.minute // 60:02}:{card.minute % 60:02}" == info["Time"]
    assert (card.action, card.vehicle) == (7, 0)
    assert (info["Transaction type"], info["Vehicle type"]) == ("Journey completed (distance fare)", "Rail")
    assert str(card.checksum) == parsed["rawFieldsAll"][0]["text2"]
    number = f"308522{card.serial:09}{card.check_digit}"
    assert number == parsed["serialNumber"].replace(" ", "")
    answered(9)


def test_hsl(cards: Path, answered: Answered) -> None:
    """Balance, last load, number; its tickets and history are not declared here."""
    folder = cards / "metrodroid-assets"
    files = _load(folder / "hsl" / "hslv2.json")["mifareDesfire"]["applications"]["1319151"]["files"]
    parsed = _load(folder / "parsed" / "hslv2.json")
    value = overseas.HslValue.decode(_hex(files["2"]["data"]))
    assert value.balance == parsed["balances"][0]["value"]
    serial = overseas.HslSerial.decode(_hex(files["8"]["data"])).serial
    assert serial == parsed["serialNumber"].replace(" ", "")
    [load] = [trip for trip in parsed["trips"] if trip["mode"] == "TICKET_MACHINE"]
    assert -value.load_amount == load["fare"]["value"]
    assert str(value.device) == load["machineID"]
    moment = datetime.datetime(1997, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(
        value.load_day, 60 * value.load_minute
    )
    summer = datetime.timedelta(hours=3)
    assert (moment - summer).timestamp() * 1000 == load["startTimestamp"]["timeInMillis"]
    answered(5)
