"""The centre folder as data: settings, participants, agreements and registers (rules §1)."""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml

from auditor.times import Calendar, day_of, seconds_of_day

ALWAYS = (day_of(date(1970, 1, 1)), day_of(date(9999, 12, 31)))
ALGORITHM_CODES = {"tdes": 0x00, "sm4": 0x04, "none": 0xF0}
MODE_CODES = {"metro": 1, "bus": 2, "taxi": 4, "bike": 6, "parking": 7}


@dataclass(frozen=True)
class Participant:
    """One participant of centre.yaml; the optional keys are 0 or empty when absent."""

    id: int
    kind: str
    days: tuple[int, int] = ALWAYS
    issuer_id: int = 0
    cards: str = "none"
    algorithms: frozenset[int] = frozenset()
    sender: int = 0
    services: tuple[str, ...] = ()
    terminals_registered: bool = False
    tariffs: dict[int, str] = field(default_factory=dict)
    tariff: str = ""
    price_tolerance: int = 0
    fee: str = ""
    acquirer: int = 0
    fund: int = 0
    region: int = 0
    funds: dict[str, int] = field(default_factory=dict)

    def valid_on(self, day: int) -> bool:
        return self.days[0] <= day <= self.days[1]


@dataclass(frozen=True)
class Agreement:
    """A dated verification agreement."""

    sender: int
    service: str
    issuer: int
    days: tuple[int, int]
    allow: str


@dataclass(frozen=True)
class FeeSchedule:
    """How a merchant's fee per transaction, window or month is computed and shared."""

    base: str
    bps: int
    minimum: int
    shares: dict[str, int]
    fixed: int = 0
    maximum: int | None = None
    tiers: tuple[tuple[int, int], ...] = ()
    """(above, bps) in ascending order."""
    rebate: bool = False
    level: str = "window"


@dataclass
class Centre:
    """Settings and registers, ready for look-ups row by row."""

    id: int
    calendar: Calendar
    limits: dict[str, int]
    grace: int
    participants: dict[int, Participant]
    agreements: list[Agreement]
    fees: dict[str, FeeSchedule]
    policy: dict[str, dict[str, str]] = field(default_factory=dict)
    agreed_fees: list[tuple[int, tuple[int, int], str]] = field(default_factory=list)
    """(merchant, days, schedule) of settlement agreements that name one."""
    cards: dict[int, list[tuple[int, int, int]]] = field(default_factory=dict)
    """card id → (class, first day, last day)."""
    owners: dict[int, list[tuple[int | None, int, int]]] = field(default_factory=dict)
    """card id → (owner of its memory, first day, last day), where the register names owners."""
    blacklist: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """card id → (published at, removed at)."""
    terminals: dict[tuple[int, int], list[tuple[int, int]]] = field(default_factory=dict)
    """(terminal, merchant) → days."""
    senders: dict[int, list[tuple[bytes, int, int]]] = field(default_factory=dict)
    """sender → (public key, first day, last day)."""
    issuers: dict[int, Participant] = field(default_factory=dict)
    """issuer id → issuer or counterparty."""
    fund_of_code: dict[int, int] = field(default_factory=dict)
    insurer_of_region: dict[int, Participant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.participants.values():
            if one.kind in ("issuer", "counterparty"):
                self.issuers[one.issuer_id] = one
            if one.fund:
                self.fund_of_code[one.fund] = one.id
            if one.kind == "insurer":
                self.insurer_of_region[one.region] = one

    def agreed(self, allow: str, sender: int, service: str, issuer: int, day: int | None) -> bool:
        """Whether a verification agreement of this kind covers the day."""
        return day is not None and any(
            (a.allow, a.sender, a.service, a.issuer) == (allow, sender, service, issuer)
            and a.days[0] <= day <= a.days[1]
            for a in self.agreements
        )

    def fee_of(self, merchant: int, day: int) -> str:
        """The fee schedule of a merchant on a day, empty when it has none."""
        agreed = [fee for who, days, fee in self.agreed_fees if who == merchant and days[0] <= day <= days[1]]
        return agreed[0] if agreed else self.participants[merchant].fee

    def card_class(self, card_id: int, day: int | None) -> int | None:
        """The register's class of a card on a day; None where no register row covers it."""
        for card_class, first, last in self.cards.get(card_id, ()):
            if day is not None and first <= day <= last:
                return card_class
        return None

    def owner(self, card_id: int, day: int | None) -> int:
        """Under which card the memory of a card is kept on a day."""
        for owner, first, last in self.owners.get(card_id, ()):
            if day is not None and first <= day <= last and owner is not None:
                return owner
        return card_id


def read_centre(folder: Path) -> Centre:
    settings = yaml.load((folder / "centre.yaml").read_text("utf-8"), yaml.CSafeLoader)
    centre = settings_of(settings)
    registers = folder / "registers"
    for line in _csv(registers / "terminals.csv"):
        key = (int(line["terminal_id"], 16), int(line["merchant_id"]))
        centre.terminals.setdefault(key, []).append(_days(line, "valid_from", "valid_to"))
    for line in _csv(registers / "senders.csv"):
        first, last = _days(line, "valid_from", "valid_to")
        entry = (bytes.fromhex(line["public_key"]), first, last)
        centre.senders.setdefault(int(line["sender"]), []).append(entry)
    centre.cards = _grouped(registers / "cards.parquet", "card_id", "card_class", "valid_from", "valid_to")
    if "owner_id" in pq.read_schema(registers / "cards.parquet").names:
        centre.owners = _grouped(registers / "cards.parquet", "card_id", "owner_id", "valid_from", "valid_to")
    centre.blacklist = _grouped(registers / "blacklist.parquet", "card_id", "published_at", "removed_at")
    return centre


def settings_of(settings: dict[str, Any]) -> Centre:
    """The centre of a parsed centre.yaml, registers still empty."""
    calendar = settings["calendar"]
    agreements = settings.get("agreements") or {}
    return Centre(
        id=settings["centre"]["id"],
        calendar=Calendar(
            seconds_of_day(calendar["day_cut"]),
            seconds_of_day(calendar["cut_off"]),
            calendar["late_days_max"],
            calendar["future_tolerance_seconds"],
        ),
        limits=settings["limits"],
        grace=settings["blacklist_grace_seconds"],
        participants={entry["id"]: _participant(entry) for entry in settings["participants"]},
        agreements=[_agreement(entry) for entry in agreements.get("verification") or []],
        fees={name: _fee(entry) for name, entry in (agreements.get("fees") or {}).items()},
        policy=(settings.get("policy") or {}).get("dispositions") or {},
        agreed_fees=[
            (entry["participant"], _days(entry, "from", "to"), entry["fee"])
            for entry in agreements.get("settlement") or []
            if entry.get("fee")
        ],
    )


def _participant(entry: dict[str, Any]) -> Participant:
    return Participant(
        id=entry["id"],
        kind=entry["kind"],
        days=_days(entry, "valid_from", "valid_to"),
        issuer_id=int(entry.get("issuer_id") or "0", 16),
        cards=entry.get("cards", "none"),
        algorithms=frozenset(ALGORITHM_CODES[name] for name in entry.get("algorithms", ["tdes"])),
        sender=entry.get("sender") or 0,
        services=tuple(entry.get("services") or ()),
        terminals_registered=entry.get("terminals") == "registered",
        tariffs={MODE_CODES[mode]: tariff for mode, tariff in (entry.get("tariffs") or {}).items()},
        tariff=entry.get("tariff") or "",
        price_tolerance=entry.get("price_tolerance", 0),
        fee=entry.get("fee") or "",
        acquirer=entry.get("acquirer") or 0,
        fund=entry.get("fund") or 0,
        region=entry.get("region") or 0,
        funds=entry.get("funds") or {},
    )


def _agreement(entry: dict[str, Any]) -> Agreement:
    days = _days(entry, "from", "to")
    return Agreement(entry["sender"], entry["service"], entry["issuer"], days, entry["allow"])


def _fee(entry: dict[str, Any]) -> FeeSchedule:
    return FeeSchedule(
        entry["base"],
        entry.get("bps", 0),
        entry.get("minimum", 0),
        entry["shares"],
        entry.get("fixed", 0),
        entry.get("maximum"),
        tuple((tier["above"], tier["bps"]) for tier in entry.get("tiers", ())),
        entry.get("sign") == "rebate",
        entry.get("level", "window"),
    )


def _days(entry: dict[str, Any], first: str, last: str) -> tuple[int, int]:
    """Inclusive days of two optional ISO dates."""
    return (_day(entry.get(first), ALWAYS[0]), _day(entry.get(last), ALWAYS[1]))


def _day(value: date | str | None, default: int) -> int:
    if not value:
        return default
    return day_of(value if isinstance(value, date) else date.fromisoformat(value))


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _grouped(path: Path, key: str, *columns: str) -> dict[int, list[Any]]:
    """Rows of a Parquet register as tuples of ``columns``, by ``key``."""
    table = pq.read_table(path)
    grouped: dict[int, list[Any]] = defaultdict(list)
    values = zip(*(table.column(name).to_pylist() for name in columns), strict=True)
    for number, value in zip(table.column(key).to_pylist(), values, strict=True):
        grouped[number].append(value)
    return dict(grouped)
