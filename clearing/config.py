"""Validated settings of one centre: ``centre.yaml`` (docs/clearing-rules.md §1).

Strict: an unknown key, a participant named twice or a reference to nobody is refused with file, path and remedy.
"""

from __future__ import annotations

import datetime
import functools
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import yaml
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from card_io.records import Algorithm, Mode, Service
from clearing.agreements import Advance, Agreements, FeeSchedule, ServiceName, Settlement, SourceAccount
from clearing.errors import ConfigError
from clearing.people import Person
from clearing.reconcile.policy import Reconciliation
from clearing.status import NEVER_PAYABLE, ClearingStatus, Direction, Disposition, default_disposition
from clearing.strict import Dated, Strict

RESERVE = 0
"""The source of money that is the reserve (备付金); every other source is a participant number."""


def _seconds_of_day(text: object) -> int:
    """Seconds of "HH:MM:SS"; YAML 1.1 has already read an unquoted one as a base-60 integer."""
    if isinstance(text, int) and 0 <= text < 86400:
        return text
    if not isinstance(text, str):
        raise ValueError('write a time of day as "HH:MM:SS"')
    moment = datetime.time.fromisoformat(text)
    return moment.hour * 3600 + moment.minute * 60 + moment.second


SecondsOfDay = Annotated[int, BeforeValidator(_seconds_of_day)]
ModeName = Literal["metro", "bus", "taxi", "bike", "parking"]
FundColumn = Literal["hifp_pay", "cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay"]


class Name(Strict):
    """A name in both languages of the centre."""

    zh: str
    en: str


class Centre(Strict):
    """The centre itself."""

    id: int
    name: Name
    locale: Literal["zh", "en"] = "zh"
    simulated: bool = False
    threads: Annotated[int, Field(ge=1)] = 2


class Calendar(Strict):
    """Where operating days and business dates end, and how late or early a record may be."""

    day_cut: SecondsOfDay
    cut_off: SecondsOfDay
    late_days_max: int
    future_tolerance_seconds: int


class Participant(Strict):
    """Issuer, operator, merchant, agent, fund …: anybody money can be owed to or by."""

    id: int
    kind: Literal[
        "centre",
        "issuer",
        "counterparty",
        "operator",
        "merchant",
        "hospital",
        "utility",
        "agent",
        "fund",
        "insurer",
        "sender",
        "bank",
    ]
    name: Name
    valid_from: datetime.date = datetime.date(1970, 1, 1)
    valid_to: datetime.date = datetime.date(9999, 12, 31)
    issuer_id: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{16}$")] | None = None
    cards: Literal["register", "none"] = "none"
    algorithms: tuple[Literal["tdes", "none"], ...] = ("tdes",)
    sender: int | None = None
    services: tuple[ServiceName, ...] = ()
    terminals: Literal["registered", "any"] = "any"
    tariffs: dict[ModeName, str] = Field(default_factory=dict)
    tariff: str | None = None
    price_tolerance: Annotated[int, Field(ge=0)] = 0
    """Fen by which what it charged, settled or billed may differ from the tariff and still count as equal."""
    fee: str | None = None
    acquirer: int | None = None
    interchange: Literal["jtt978"] | None = None
    fund: Annotated[int, Field(ge=1, le=2**16 - 1)] | None = None
    region: int | None = None
    """Where it stands in the region tree; of an insurer the pooling region (统筹地区) whose people it insures."""
    funds: dict[FundColumn, int] = Field(default_factory=dict)
    transfer_window_seconds: Annotated[int, Field(ge=1)] | None = None
    accounts: tuple[SourceAccount, ...] = ()
    """Of a bank: the centre's accounts there, each with the source of money it holds."""

    @property
    def issuer_number(self) -> int:
        """``issuer_id`` as the big-endian integer of its eight bytes."""
        assert self.issuer_id is not None
        return int(self.issuer_id, 16)

    @property
    def tariff_by_mode(self) -> dict[int, str]:
        """Tariff id by :class:`~card_io.records.Mode` value."""
        return {int(Mode[name.upper()]): tariff for name, tariff in self.tariffs.items()}

    @property
    def algorithm_codes(self) -> tuple[int, ...]:
        """Permitted algorithm ids of the record."""
        return tuple(int(Algorithm[name.upper()]) for name in self.algorithms)


PRICED_KINDS: Final = ("operator", "utility", "insurer")
"""Kinds of participants whose charges are compared with a tariff."""


class Term(Dated):
    """Dated terms that take effect some days after the subject came into its state; windows decide."""

    after_days: Annotated[int, Field(ge=0)]


class WriteOff(Term):
    """What of an account may go to income after some days, up to a limit in fen per item."""

    account: Literal[
        "suspense_payable", "cardholder_suspense", "cardholder_payable", "stored_value", "bank_difference"
    ]
    max_fen: Annotated[int, Field(ge=1)]


class Policy(Strict):
    """The centre's own dispositions within the fixed limits, and the dated terms of corrections (rules §14, §16)."""

    dispositions: dict[str, dict[Literal["debit", "credit"], Literal["accepted", "held", "rejected"]]] = Field(
        default_factory=dict
    )
    write_offs: tuple[WriteOff, ...] = ()
    benefit_expiry: tuple[Term, ...] = ()
    """After how many days a granted benefit that nobody picked up may go back to its fund."""
    bank_interest: tuple[Dated, ...] = ()
    """When interest on the reserve's account is the centre's own money; without such days it stays in the reserve."""
    card_refunds: tuple[Term, ...] = ()
    """After how many days in its state a lost, replaced or closed card's balance may be given back."""


class Settings(Strict):
    """One centre's validated configuration."""

    centre: Centre
    calendar: Calendar
    limits: dict[ServiceName, int]
    blacklist_grace_seconds: int
    participants: tuple[Participant, ...]
    agreements: Agreements
    policy: Policy = Policy()
    reconciliation: Reconciliation = Reconciliation()
    people: tuple[Person, ...] = ()

    @model_validator(mode="after")
    def _references(self) -> Settings:
        ids = [participant.id for participant in self.participants]
        if len(set(ids)) != len(ids):
            doubled = sorted({number for number in ids if ids.count(number) > 1})
            raise ValueError(f"participants {doubled} are listed twice; give each one number")
        known = set(ids)
        for participant in self.participants:
            named = [participant.sender, participant.acquirer, *participant.funds.values()]
            missing = [number for number in named if number is not None and number not in known]
            if missing:
                raise ValueError(f"participant {participant.id} names {missing}, not listed; add or correct them")
            if participant.fee is not None and participant.fee not in self.agreements.fees:
                raise ValueError(f"participant {participant.id}: fee schedule {participant.fee!r} is not defined")
            if participant.kind in ("issuer", "counterparty") and not participant.issuer_id:
                raise ValueError(f"participant {participant.id}: an issuer needs issuer_id (16 hex digits)")
            if participant.price_tolerance and participant.kind not in PRICED_KINDS:
                raise ValueError(
                    f"participant {participant.id}: price_tolerance is for {', '.join(PRICED_KINDS)}; "
                    "give it to the one whose tariff decides"
                )
        for at, agreement in enumerate(self.agreements.verification):
            for name, number in (("sender", agreement.sender), ("issuer", agreement.issuer)):
                if number not in known:
                    where = f"agreements.verification.{at}.{name}"
                    raise ValueError(f"{where}: participant {number} is not listed; add or correct it")
        self._check_agreements(known)
        self._check_uniqueness()
        self._check_policy()
        self._check_people()
        return self

    def _check_agreements(self, known: set[int]) -> None:
        for at, agreement in enumerate(self.agreements.settlement):
            where = f"agreements.settlement.{at}"
            if agreement.participant not in known:
                raise ValueError(f"{where}: participant {agreement.participant} is not listed; add or correct it")
            if agreement.fee is not None and agreement.fee not in self.agreements.fees:
                raise ValueError(f"{where}: fee schedule {agreement.fee!r} is not defined")
        for at, advance in enumerate(self.agreements.advances):
            if advance.fund not in known:
                raise ValueError(f"agreements.advances.{at}: participant {advance.fund} is not listed")
        for participant in self.participants:
            if participant.accounts and participant.kind != "bank":
                raise ValueError(f"participant {participant.id}: accounts are a bank's; give payees' in agreements")
            strangers = sorted({a.source for a in participant.accounts} - known - {RESERVE})
            if strangers:
                raise ValueError(f"participant {participant.id}: sources {strangers} are no participants")
        for name in ("number", "source"):
            values = [getattr(account, name) for _, account in self.bank_accounts()]
            doubled = sorted({value for value in values if values.count(value) > 1})
            if doubled:
                raise ValueError(f"accounts: {name} {doubled} stands twice; one account holds one source of money")

    def _check_uniqueness(self) -> None:
        """What must not be said twice or be left out."""
        for name in ("issuer_id", "fund", "region"):
            # Many stand in one region, one insures it.
            listed = [p for p in self.participants if name != "region" or p.kind == "insurer"]
            values = [getattr(p, name) for p in listed if getattr(p, name) is not None]
            if name == "issuer_id":
                values = [value.upper() for value in values]
            doubled = sorted({value for value in values if values.count(value) > 1})
            if doubled:
                raise ValueError(f"{name} {doubled} belongs to two participants; give each its own")
        for participant in self.participants:
            if participant.valid_to < participant.valid_from:
                raise ValueError(f"participant {participant.id}: valid_to lies before valid_from; correct the dates")
        unlimited = sorted(set(get_args(ServiceName)) - set(self.limits))
        if unlimited:
            raise ValueError(f"limits: {unlimited} are missing; give each service its limit in fen")

    def _check_policy(self) -> None:
        for name in self.policy.dispositions:
            if name not in ClearingStatus.__members__:
                raise ValueError(f"policy.dispositions: {name!r} is no status; see docs/clearing-rules.md")
            status = ClearingStatus[name]
            wanted = self.policy.dispositions[name].values()
            if status in NEVER_PAYABLE and "accepted" in wanted:
                raise ValueError(f"policy.dispositions.{name}: never payable; remove the override")
            if status in (ClearingStatus.ACCEPTED, ClearingStatus.DUPLICATE, ClearingStatus.REPLAY):
                raise ValueError(f"policy.dispositions.{name}: fixed; remove the override")

    def _check_people(self) -> None:
        for name in ("id", "key"):
            values = [getattr(person, name) for person in self.people]
            doubled = sorted({value for value in values if values.count(value) > 1})
            if doubled:
                raise ValueError(f"people: {name} {doubled} belongs to two persons; give each their own")

    def bank_accounts(self) -> list[tuple[int, SourceAccount]]:
        """The centre's own accounts with the number of the bank that keeps each."""
        return [(bank.id, account) for bank in self.participants for account in bank.accounts]

    def settlement(self, participant: int, on: datetime.date) -> Settlement | None:
        """The settlement agreement of a participant in force on a date."""
        listed = self.agreements.settlement
        return next((each for each in listed if each.participant == participant and each.covers(on)), None)

    def advance(self, fund: int, on: datetime.date) -> Advance | None:
        """The agreement in force on a date to pay a fund's shares in advance."""
        return next((each for each in self.agreements.advances if each.fund == fund and each.covers(on)), None)

    def fee_schedule(self, merchant: int, on: datetime.date) -> FeeSchedule | None:
        """The fee schedule of a merchant on a date: by its settlement agreement, else its own."""
        name = self.fee_name(merchant, on)
        return None if name is None else self.agreements.fees[name]

    def fee_name(self, merchant: int, on: datetime.date) -> str | None:
        """The name of that fee schedule."""
        agreement = self.settlement(merchant, on)
        return self.participant(merchant).fee if agreement is None or agreement.fee is None else agreement.fee

    def participant(self, number: int) -> Participant:
        """The participant of that number; KeyError if there is none."""
        return {participant.id: participant for participant in self.participants}[number]

    def disposition(self, status: ClearingStatus, direction: Direction) -> Disposition:
        """Where a row of this status and direction ends, the centre's policy included."""
        chosen = self.policy.dispositions.get(status.name, {}).get(
            "debit" if direction is Direction.DEBIT else "credit"
        )
        return Disposition[chosen.upper()] if chosen else default_disposition(status, direction)

    def limit(self, service: Service) -> int:
        """Largest amount in fen one row of the service may carry."""
        return self.limits[service.name.lower()]  # type: ignore[index]


@functools.lru_cache(16)
def _parsed(text: str) -> Settings:
    """The settings of a text; they are frozen, and a process opens a centre again and again."""
    return Settings.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))


def parse_settings(text: str, origin: str | Path) -> Settings:
    """Settings from YAML text.

    Raises:
        ConfigError: naming the file, the path of the key, and what to do.
    """
    try:
        return _parsed(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"not YAML: {exc}", where=origin, remedy="correct the line named") from exc
    except ValidationError as exc:
        lines = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in exc.errors()[:5])
        raise ConfigError(lines, where=origin, remedy="correct these keys; see the comments in the sample") from exc


def require_centre(directory: Path) -> Path:
    """The ``centre.yaml`` of the centre in ``directory``.

    Raises:
        ConfigError: there is none.
    """
    path = directory / "centre.yaml"
    if not path.is_file():
        raise ConfigError("no centre.yaml here", where=directory, remedy="run: clearing init DIR")
    return path


def load_settings(directory: Path) -> Settings:
    """Settings of the centre in ``directory``.

    Raises:
        ConfigError: if ``centre.yaml`` is missing or wrong.
    """
    path = require_centre(directory)
    return parse_settings(path.read_text("utf-8"), path)
