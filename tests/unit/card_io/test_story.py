"""A card's story: both languages, masked number, overdraft, gaps, open journeys, odd contents."""

from __future__ import annotations

import dataclasses
import datetime
import re

from hypothesis import given
from hypothesis import strategies as st

from card_io.layouts import (
    CityUnionApplication,
    IndustryRecord,
    JourneyRecord,
    LogRecord,
    Region,
    ShenzhenApplication,
    TUnionApplication,
    make_tlv,
    read_fci,
)
from card_io.layouts.layout import Layout
from card_io.records import mask_card
from card_io.story import CardFiles, Topic, card_number, story

LOG = LogRecord.decode(bytes.fromhex(LogRecord.VECTORS[1].hex))
RIDE = JourneyRecord.decode(bytes.fromhex(JourneyRecord.VECTORS[0].hex))
SLOT = IndustryRecord.decode(bytes.fromhex(IndustryRecord.VECTORS[0].hex))
REGION = Region.decode(bytes.fromhex(Region.VECTORS[0].hex))


def selected(aid: str = "A000000632010105", file_15: type[Layout] = TUnionApplication) -> object:
    data = make_tlv(0x9F0C, value=bytes.fromhex(file_15.VECTORS[0].hex))
    inner = (make_tlv(0x84, value=bytes.fromhex(aid)), make_tlv(0xA5, children=(data,)))
    return read_fci(make_tlv(0x6F, children=inner).encode())


def tell(today: datetime.date | None = None, **files: object) -> dict[Topic, list[tuple[str, str]]]:
    told: dict[Topic, list[tuple[str, str]]] = {}
    for sentence in story(CardFiles(**{"selected": selected(), **files}), today=today):  # type: ignore[arg-type]
        told.setdefault(sentence.topic, []).append((sentence.zh, sentence.en))
    return told


def debit(counter: int, **changes: object) -> LogRecord:
    return dataclasses.replace(LOG, counter=counter, **changes)  # type: ignore[arg-type]


def test_card_validity_balance_and_region() -> None:
    told = tell(balance=-250, overdraft_limit=800, overdraft_used=250, region=REGION)

    assert told[Topic.CARD] == [
        (
            "交通联合电子钱包，卡号 310517****2345，发卡机构 01011000FFFFFFFF。",
            "T-Union purse, card number 310517****2345, issuer 01011000FFFFFFFF.",
        )
    ]
    assert told[Topic.VALIDITY] == [("有效期 2019-08-06 至 2040-12-31。", "Valid from 2019-08-06 to 2040-12-31.")]
    assert told[Topic.BALANCE] == [("余额 -2.50 元。", "Balance -2.50 yuan.")]
    assert told[Topic.OVERDRAFT] == [("透支限额 8.00 元，已用 2.50 元。", "Overdraft limit 8.00 yuan, 2.50 used.")]
    assert told[Topic.REGION] == [("地区代码 3100/2900，互联互通。", "Region 3100/2900, accepted in other cities.")]


def test_expired_and_not_yet_valid() -> None:
    assert tell(datetime.date(2041, 1, 1))[Topic.VALIDITY][0][1].endswith(", expired.")
    assert tell(datetime.date(2019, 8, 5))[Topic.VALIDITY][0][1].endswith(", not valid yet.")
    assert tell(datetime.date(2040, 12, 31))[Topic.VALIDITY][0][1].endswith("2040-12-31.")


def test_log_and_gaps() -> None:
    load = debit(7, txn_type=2)
    told = tell(
        log=(debit(88), load, debit(87), debit(83), debit(83), debit(5, txn_type=2), LogRecord.decode(bytes(23)))
    )

    assert told[Topic.LOG][0] == (
        "2021-05-09 11:21:35 复合消费 5.00 元，序号 88，终端 413106170743。",
        "2021-05-09 11:21:35 composite purchase 5.00 yuan, counter 88, terminal 413106170743.",
    )
    assert len(told[Topic.LOG]) == 6
    assert [en for _, en in told[Topic.GAP]] == [
        "Load counters 5 … 7: 1 record is missing.",
        "Debit counters 83 … 87: 3 records are missing.",
        "Debit counters 83 … 83 do not rise.",
    ]


def test_a_whole_log_has_no_gap() -> None:
    assert Topic.GAP not in tell(log=tuple(debit(counter) for counter in range(177, 167, -1)))


def test_journeys_and_open_journeys() -> None:
    entered = dataclasses.replace(SLOT, state=1)
    told = tell(journeys=(RIDE, JourneyRecord.decode(b"\xff" * 48)), industry=(SLOT, entered))

    assert told[Topic.JOURNEY] == [
        (
            "2021-05-01 15:45:09 地铁电子钱包进站，6900 03221900-000000，0.00 元，余额 11.00 元。",
            "2021-05-01 15:45:09 metro purse entry, 6900 03221900-000000, 0.00 yuan, balance 11.00 yuan.",
        )
    ]
    assert told[Topic.OPEN_JOURNEY] == [
        (
            "2019-11-29 13:25:45 公交进站 1000 0029-10 后没有出站记录，最高应收 3.00 元。",
            "2019-11-29 13:25:45 bus entered at 1000 0029-10 and not left; at most 3.00 yuan are due.",
        )
    ]


def test_shenzhen_tells_the_mode() -> None:
    card = selected("5041592E535A54", ShenzhenApplication)
    told = tell(selected=card, log=(debit(1, terminal="600000000001", txn_type=9),))

    assert told[Topic.LOG][0][1].startswith("2021-05-09 11:21:35 metro composite purchase")
    assert told[Topic.CARD][0][1] == "Shenzhen Tong, card number 6****."


def test_city_union_and_unknown_forms() -> None:
    told = tell(selected=selected("A00000000386980701", CityUnionApplication))
    assert told[Topic.CARD][0][1] == "CityUnion purse, card number 7D9384****E0B8, issuer 8698, city 2000."
    strange = selected("535558494E2E4444463031")
    assert card_number(strange) is None  # type: ignore[arg-type]
    assert tell(selected=strange)[Topic.CARD][0][1] == "Suzhou, card number ****."


def test_impossible_dates_are_shown_as_they_stand() -> None:
    assert tell(log=(debit(1, date4=0x20231345),))[Topic.LOG][0][1].startswith("20231345112135 ")


@given(st.text("0123456789", min_size=1, max_size=24))
def test_a_number_is_never_told_whole(number: str) -> None:
    assert number not in mask_card(number) or len(number) == 1


@given(
    st.lists(st.binary(min_size=23, max_size=23), max_size=4),
    st.lists(st.binary(min_size=48, max_size=48), max_size=4),
)
def test_every_content_is_told_in_both_languages(log: list[bytes], journeys: list[bytes]) -> None:
    card = CardFiles(
        selected(),  # type: ignore[arg-type]
        log=tuple(map(LogRecord.decode, log)),
        journeys=tuple(map(JourneyRecord.decode, journeys)),
    )
    number = card_number(card.selected)
    for sentence in story(card):
        assert sentence.zh
        assert sentence.en
        assert not re.search(r"[\u4e00-\u9fff]", sentence.en)
        assert number not in sentence.en + sentence.zh
