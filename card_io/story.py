"""A card's story from its decoded files: what a clerk tells the cardholder, in Chinese and English.

Pure: no reader, no clock. The card number is always masked, holder data is never part of it. Amounts are fen, texts
show yuan. A gap in the log's counters means records that the log no longer holds or that another reader wrote; it is
said, never filled (`card-standards.md` §5.6).
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from card_io.layouts import (
    JOURNEY_KINDS,
    MODES,
    TXN_TYPES,
    CityUnionApplication,
    Family,
    IndustryRecord,
    JourneyRecord,
    LogRecord,
    Region,
    Selected,
    ShenzhenApplication,
    TUnionApplication,
)
from card_io.records import LOAD_TYPES, mask_card

_SHENZHEN_MODES: Final = {"3": ("公交", "bus"), "6": ("地铁", "metro")}
_CASH_NEVER: Final = ("未知", "unknown")


@dataclass(frozen=True, slots=True)
class CardFiles:
    """What was read from a card; None or empty where the card did not give it.

    Attributes:
        selected: answer to SELECT.
        balance: what the card shows, fen; may be negative on a card in debt.
        overdraft_limit, overdraft_used: fen.
        region: file 17.
        log: file 18, newest first.
        industry: file 1A.
        journeys: file 1E, newest first.
    """

    selected: Selected
    balance: int | None = None
    overdraft_limit: int | None = None
    overdraft_used: int | None = None
    region: Region | None = None
    log: tuple[LogRecord, ...] = ()
    industry: tuple[IndustryRecord, ...] = ()
    journeys: tuple[JourneyRecord, ...] = ()


class Topic(StrEnum):
    """What a sentence is about."""

    CARD = "card"
    VALIDITY = "validity"
    REGION = "region"
    BALANCE = "balance"
    OVERDRAFT = "overdraft"
    LOG = "log"
    GAP = "gap"
    JOURNEY = "journey"
    OPEN_JOURNEY = "open_journey"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence in both languages."""

    topic: Topic
    zh: str
    en: str


def story(card: CardFiles, *, today: datetime.date | None = None) -> tuple[Sentence, ...]:
    """The sentences in the order in which they are told.

    Args:
        card: what was read.
        today: says whether the card has expired; without it only the dates are told.
    """
    return (*_identity(card.selected, today), *_region(card), *_balance(card), *_log(card), *_journeys(card))


def card_number(selected: Selected) -> str | None:
    """The number printed on the card; None when its file 15 is in no known form."""
    match selected.file_15:
        case TUnionApplication(serial=serial):
            return serial.removeprefix("0").rstrip("F")
        case CityUnionApplication(serial=serial):
            return serial
        case ShenzhenApplication(serial=number):
            return str(number)
    return None


def _identity(selected: Selected, today: datetime.date | None) -> Iterator[Sentence]:
    number = card_number(selected)
    shown = mask_card(number) if number else "****"
    found = selected.application
    issuer_zh, issuer_en = _issuer(selected)
    yield Sentence(
        Topic.CARD, f"{found.zh}，卡号 {shown}{issuer_zh}。", f"{found.en}, card number {shown}{issuer_en}."
    )
    file_15 = selected.file_15
    if not isinstance(file_15, TUnionApplication | CityUnionApplication | ShenzhenApplication):
        return
    start, end = day_text(file_15.valid_from), day_text(file_15.valid_to)
    expired = today is not None and f"{today:%Y%m%d}" > f"{file_15.valid_to:08X}"
    early = today is not None and f"{today:%Y%m%d}" < f"{file_15.valid_from:08X}"
    zh, en = ("，已过期", ", expired") if expired else ("，尚未启用", ", not valid yet") if early else ("", "")
    yield Sentence(Topic.VALIDITY, f"有效期 {start} 至 {end}{zh}。", f"Valid from {start} to {end}{en}.")


def _issuer(selected: Selected) -> tuple[str, str]:
    match selected.file_15:
        case TUnionApplication(issuer_id=issuer):
            return f"，发卡机构 {issuer}", f", issuer {issuer}"
        case CityUnionApplication(issuer=issuer, city=city):
            return f"，发卡机构 {issuer}，城市 {city}", f", issuer {issuer}, city {city}"
    return "", ""


def _region(card: CardFiles) -> Iterator[Sentence]:
    if card.region is None:
        return
    zh, en = ("互联互通", "accepted in other cities") if card.region.interop == "0001" else ("仅限本地", "local only")
    place = f"{card.region.province}/{card.region.city}"
    yield Sentence(Topic.REGION, f"地区代码 {place}，{zh}。", f"Region {place}, {en}.")


def _balance(card: CardFiles) -> Iterator[Sentence]:
    if card.balance is not None:
        yield Sentence(Topic.BALANCE, f"余额 {yuan(card.balance)} 元。", f"Balance {yuan(card.balance)} yuan.")
    if card.overdraft_limit or card.overdraft_used:
        limit, used = card.overdraft_limit or 0, card.overdraft_used or 0
        yield Sentence(
            Topic.OVERDRAFT,
            f"透支限额 {yuan(limit)} 元，已用 {yuan(used)} 元。",
            f"Overdraft limit {yuan(limit)} yuan, {yuan(used)} used.",
        )


def _log(card: CardFiles) -> Iterator[Sentence]:
    records = [record for record in card.log if not record.is_empty]
    for record in records:
        zh, en = TXN_TYPES.get(record.txn_type, (f"类型 {record.txn_type:02X}", f"type {record.txn_type:02X}"))
        if card.selected.application.family is Family.SHENZHEN:
            mode = _SHENZHEN_MODES.get(record.terminal[0], _CASH_NEVER)
            zh, en = f"{mode[0]}{zh}", f"{mode[1]} {en}"
        moment = moment_text(record.date4 << 24 | record.time3)
        amount = yuan(record.amount)
        yield Sentence(
            Topic.LOG,
            f"{moment} {zh} {amount} 元，序号 {record.counter}，终端 {record.terminal}。",
            f"{moment} {en} {amount} yuan, counter {record.counter}, terminal {record.terminal}.",
        )
    yield from _gaps([each for each in records if each.txn_type in LOAD_TYPES], "充值", "load")
    yield from _gaps([each for each in records if each.txn_type not in LOAD_TYPES], "消费", "debit")


def _gaps(records: Sequence[LogRecord], zh: str, en: str) -> Iterator[Sentence]:
    """Where neighbouring records of one counter are not one apart; loads and debits count apart."""
    for newer, older in itertools.pairwise(records):
        missing = newer.counter - older.counter - 1
        between = f"{older.counter} … {newer.counter}"
        if missing > 0:
            are = "record is" if missing == 1 else "records are"
            yield Sentence(
                Topic.GAP,
                f"{zh}序号 {between} 之间缺 {missing} 笔记录。",
                f"{en.capitalize()} counters {between}: {missing} {are} missing.",
            )
        elif missing < 0:
            yield Sentence(
                Topic.GAP,
                f"{zh}序号 {between} 没有递增。",
                f"{en.capitalize()} counters {between} do not rise.",
            )


def _journeys(card: CardFiles) -> Iterator[Sentence]:
    for record in card.journeys:
        if record.is_empty:
            continue
        zh, en = JOURNEY_KINDS.get(record.kind, (f"行程 {record.kind:02X}", f"journey {record.kind:02X}"))
        mode_zh, mode_en = _mode(record.mode)
        place = f"{record.city} {record.line}-{record.site}"
        moment = moment_text(record.time)
        amount, left = yuan(record.amount), yuan(record.balance)
        yield Sentence(
            Topic.JOURNEY,
            f"{moment} {mode_zh}{zh}，{place}，{amount} 元，余额 {left} 元。",
            f"{moment} {mode_en} {en}, {place}, {amount} yuan, balance {left} yuan.",
        )
    for slot in card.industry:
        if slot.valid == 1 and slot.state == 1:
            mode_zh, mode_en = _mode(int(slot.tag[2:], 16))
            moment = moment_text(slot.entry_time)
            place = f"{slot.entry_city} {slot.entry_line}-{slot.entry_station:02X}"
            fare = yuan(slot.maximum_fare)
            yield Sentence(
                Topic.OPEN_JOURNEY,
                f"{moment} {mode_zh}进站 {place} 后没有出站记录，最高应收 {fare} 元。",
                f"{moment} {mode_en} entered at {place} and not left; at most {fare} yuan are due.",
            )


def _mode(code: int) -> tuple[str, str]:
    return MODES.get(code, (f"方式 {code:02X}", f"mode {code:02X}"))


def yuan(fen: int) -> str:
    """Fen as yuan with two decimals."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02d}"


def day_text(date4: int) -> str:
    """A BCD day as YYYY-MM-DD; digits that are no day are shown as they stand."""
    text = f"{date4:08X}"
    try:
        return datetime.datetime.strptime(text, "%Y%m%d").date().isoformat()
    except ValueError:
        return text


def moment_text(moment7: int) -> str:
    """A BCD moment as YYYY-MM-DD hh:mm:ss; digits that are none are shown as they stand."""
    text = f"{moment7:014X}"
    try:
        return datetime.datetime.strptime(text, "%Y%m%d%H%M%S").isoformat(" ")
    except ValueError:
        return text
