"""One simulated day, told in order: people, journeys, purses, faults, files, truth."""

from __future__ import annotations

import datetime
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from card_io.records import Service
from clearing.calendar import day_number
from clearing.errors import RefusedError
from clearing.initialise import KEYSTORE
from clearing.simulate.benefits import add_grants, add_pickups
from clearing.simulate.city import MODE_OF, OWN, SERVICE_OF, Activity, City, read_city
from clearing.simulate.concerns import judge_cards, mark_cards
from clearing.simulate.copies import add_copies, delay
from clearing.simulate.deliver import Inbox, Sent, parcels
from clearing.simulate.demand import activity_counts, draw
from clearing.simulate.fares import FareBook
from clearing.simulate.faults import FaultLevel, FaultPlan
from clearing.simulate.journeys import add_journeys
from clearing.simulate.keyring import Secrets, open_secrets
from clearing.simulate.memory import Terms, connect, settle
from clearing.simulate.misdelivery import misdeliver
from clearing.simulate.population import Population, grow, read_population
from clearing.simulate.purse import fund_purses, top_up_rows, walk_purses
from clearing.simulate.records import add_record_fields
from clearing.simulate.registers import write_registers
from clearing.simulate.render import Details, render
from clearing.simulate.schedule import Schedule, schedule_of
from clearing.simulate.settlements import InsurerTerms, add_settlements
from clearing.simulate.spoil import Scene, spoil
from clearing.simulate.table import Ints, Table, concatenate, length, take
from clearing.simulate.truth import DayTruth, RowFile, final_status, judge, write_truth
from clearing.simulate.utilities import BillPrices, add_bills

_DISTRICT_ROWS: Final = 1_000_000
"""Transactions made at a time; what bounds memory however large the day is."""

_NUMBERS_PER_DISTRICT: Final = 10_000_000
_DISTRICTS: Final = 10_000


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulated day consists of."""

    date: str
    transactions: int
    rows: int
    files: int
    faulty_rows: int
    cards: int
    faults: dict[str, int]
    statuses: dict[str, dict[str, int]]
    inbox: str
    truth: str

    def as_json(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class _Day:
    """Everything a district's day is made from."""

    city: City
    date: datetime.date
    number: int
    book: FareBook
    insurer: InsurerTerms
    bill_prices: BillPrices
    schedule: Schedule
    secrets: Secrets

    @property
    def midnight(self) -> int:
        return self.number * 86400


def simulate_day(
    directory: Path, *, date: datetime.date, transactions: int, seed: int, faults: FaultLevel, passphrase: str
) -> SimulationSummary:
    """Make one city day: delivery files and registers in the centre, the truth in ``<directory>.truth``.

    The same arguments on the same centre and truth folder give the same records. Later dates continue the cards'
    counters and balances; the senders' keys stay the same.

    Args:
        directory: a centre marked as simulated.
        date: the operating day most transactions belong to; some files arrive in the window after it.
        transactions: genuine transactions; copies that faults add come on top.
        seed: of everything random in the day.
        faults: how much goes wrong.
        passphrase: of the key store, read on the first day only.

    Raises:
        RefusedError: the centre is not simulated, the date was simulated already, or is earlier than one.
    """
    truth = directory.with_name(directory.name + ".truth")
    folder = truth / date.isoformat()
    city = read_city(directory)
    _refuse_disorder(truth, date, transactions)
    folder.mkdir(parents=True)
    day = _open_day(directory, truth, city, date, transactions, passphrase)
    inbox = Inbox(directory / "inbox", day.number, day.secrets)
    totals, sent = DayTruth(), list[Sent]()
    terminals: list[npt.NDArray[np.uint64]] = []
    districts = -(-transactions // _DISTRICT_ROWS)
    cards = 0
    with RowFile(folder / "rows.parquet") as row_file:
        for district in range(districts):
            share = transactions * (district + 1) // districts - transactions * district // districts
            rng = np.random.default_rng([seed, day.number, district])
            state = truth / f"population-{district:04d}.npz"
            population = grow(read_population(state) if state.exists() else None, district, share, day.number, rng)
            plan = FaultPlan(faults, share)
            rows, details = _live(day, population, plan, district, rng)
            terminals.append(np.unique(rows["terminal_id"][rows["terminal_id"] != 0]))
            rows = _go_wrong(day, rows, population, plan, rng)
            _settle_transfers(day, rows, details, population)
            sent += _deliver(day, rows, details, population, inbox, totals, row_file, rng)
            population.save(state)
            cards += len(population)
    outcomes = misdeliver(inbox, sent, faults)
    everyone = (read_population(state) for state in sorted(truth.glob("population-*.npz")))
    write_registers(directory / "registers", city, everyone, np.concatenate(terminals), day.secrets)
    files = {delivery.manifest.file: "received" for delivery in sent} | outcomes
    asked = {"date": date.isoformat(), "transactions": transactions, "seed": seed, "level": faults}
    write_truth(folder / "truth.json", totals, asked | {"files": files})
    return SimulationSummary(
        date=date.isoformat(),
        transactions=transactions,
        rows=sum(money.rows for money in totals.statuses.values()),
        files=len(files),
        faulty_rows=totals.faulty,
        cards=cards,
        faults=dict(totals.faults),
        statuses={name: vars(money) for name, money in totals.statuses.items()},
        inbox=str(directory / "inbox"),
        truth=str(folder),
    )


def _refuse_disorder(truth: Path, date: datetime.date, transactions: int) -> None:
    if transactions < 1:
        raise RefusedError("a day needs transactions", remedy="ask for 1 or more")
    later = sorted(path.name for path in truth.glob("????-??-??") if path.name >= date.isoformat())
    if later:
        raise RefusedError(
            f"{later[-1]} is simulated already", where=truth, remedy="choose a later date or a new centre"
        )


def _open_day(
    directory: Path, truth: Path, city: City, date: datetime.date, transactions: int, passphrase: str
) -> _Day:
    tariffs = directory / "tariffs"
    number = day_number(date)
    medical = next(p.tariff for p in city.settings.participants if p.kind == "insurer" and p.tariff)
    return _Day(
        city,
        date,
        number,
        FareBook(tariffs, date),
        InsurerTerms(tariffs / f"{medical}.yaml", date),
        BillPrices(tariffs, city.utilities),
        schedule_of(number, transactions, city.settings.calendar),
        open_secrets(directory, KEYSTORE, truth, city, passphrase),
    )


def _live(
    day: _Day, population: Population, plan: FaultPlan, district: int, rng: np.random.Generator
) -> tuple[Table, Details]:
    """The district's day as it happened, before anything goes wrong on the way."""
    counts = activity_counts(plan.rows, day.city)
    base = (day.number * _DISTRICTS + district) * _NUMBERS_PER_DISTRICT
    parts: list[Table] = []
    details: dict[Service, list[Table]] = {}
    bills: Table = {}

    def keep(rows: Table, detail: Table) -> None:
        if detail:
            tables = details.setdefault(SERVICE_OF[Activity(int(rows["activity"][0]))], [])
            rows["detail"] += sum(length(table) for table in tables)
            tables.append(detail)
        rows.setdefault("benefit_id", np.zeros(length(rows), np.int64))
        parts.append(rows)

    drawn = {
        activity: draw(activity, count, day.city, population, day.midnight, rng)
        for activity, count in counts.items()
        if count and activity is not Activity.LOAD
    }
    if transfers := drawn.get(Activity.BUS_TRANSFER):
        connect(transfers, day.midnight, rng)
    for activity, rows in drawn.items():
        if activity in MODE_OF:
            keep(rows, add_journeys(rows, activity, day.city, population, day.book, plan, rng))
    if retail := drawn.get(Activity.RETAIL):
        _shop(retail, rng)
        keep(retail, {})
    if medical := drawn.get(Activity.MEDICAL):
        keep(medical, add_settlements(medical, day.city, population, day.insurer, plan, rng))
    if utility := drawn.get(Activity.UTILITY):
        detail, bills = add_bills(utility, day.city, day.bill_prices, base, plan, rng)
        keep(utility, detail)
    needed, voluntary = _top_ups(day, population, parts, counts[Activity.LOAD], rng)
    keep(top_up_rows(needed, voluntary, day.city, day.midnight, rng), {})
    if grants := drawn.get(Activity.GRANT):
        granted = add_grants(grants, day.number, base, rng)
        if pickups := drawn.get(Activity.PICKUP):
            add_pickups(pickups, grants, granted, day.city)
            keep(pickups, {})
        keep(grants, granted)
    rows = concatenate(parts)
    walk_purses(rows, population, day.midnight)
    add_record_fields(rows, day.city, population, day.schedule, district, day.number, rng)
    return rows, Details({service: concatenate(tables) for service, tables in details.items()}, bills)


def _shop(rows: Table, rng: np.random.Generator) -> None:
    """Meals at noon and in the evening, otherwise baskets of a wide range."""
    count = length(rows)
    meal = np.isin(rows["time"] // 3600 % 24, (11, 12, 17, 18))
    basket = np.minimum(rng.lognormal(6.8, 0.8, count), 30_000).astype(np.int64) + 100
    rows["amount"] = np.where(meal, rng.integers(6, 30, count) * 100, basket)
    rows |= {
        "due": rows["amount"].copy(),
        "fund_paid": np.zeros(count, np.int64),
        "fund": np.zeros(count, np.int64),
    }


def _top_ups(
    day: _Day, population: Population, parts: list[Table], quota: int, rng: np.random.Generator
) -> tuple[tuple[Ints, Ints, Ints], Ints]:
    """Necessary and voluntary top-ups, ``quota`` together; if more are necessary, residents shop less."""
    debits = concatenate([take(part, part["txn_type"] != 0) for part in parts])
    needed = fund_purses(debits, population, day.number, quota, rng)
    surplus = len(needed[0]) - quota
    if surplus > 0:
        for part in parts:
            if part["activity"][0] == Activity.RETAIL:
                part |= take(part, slice(min(surplus, length(part) - 1), None))
    usable = population.usable(day.number)
    own = usable[population.cards["issuer"][usable] == OWN]
    return needed, rng.choice(own, max(-surplus, 0))


def _go_wrong(day: _Day, rows: Table, population: Population, plan: FaultPlan, rng: np.random.Generator) -> Table:
    """The day as it reaches the senders: cards listed, records late, spoiled and copied."""
    scene = Scene(day.city, day.schedule, rng)
    mark_cards(rows, population, day.city, day.number, plan, rng)
    delay(rows, scene, plan)
    spoil(rows, scene, plan)
    rows = add_copies(rows, scene, plan)
    judge_cards(rows, population, day.city)
    # Tomorrow's listings must leave today's records alone, those of clocks that are ahead too.
    np.maximum.at(population.cards["latest"], rows["card"], rows["time"])
    return rows


def _settle_transfers(day: _Day, rows: Table, details: Details, population: Population) -> None:
    """What the taps before make of a bus fare, of the records as they reach the centre."""
    venues = [venue for venue in day.city.venues if venue.activity is Activity.BUS_TRANSFER]
    register_class = population.cards["card_class"][rows["card"]]
    terms = Terms.of(day.book, venues[0].tariff) if venues else None
    settle(rows, details.by_service[Service.TRANSIT], register_class, terms)


def _deliver(
    day: _Day,
    rows: Table,
    details: Details,
    population: Population,
    inbox: Inbox,
    totals: DayTruth,
    row_file: RowFile,
    rng: np.random.Generator,
) -> list[Sent]:
    """Write the district's files and what is true of them."""
    sent: list[Sent] = []
    for parcel in parcels(rows):
        own = take(rows, parcel.rows)
        sent_at = int(day.schedule.sent_at(parcel.sender, parcel.slot))
        table = render(parcel.service, own, details, population, day.secrets, rng)
        granted = np.zeros(len(parcel.rows), np.int64)
        if parcel.service is Service.BENEFIT:
            granted = details.by_service[Service.BENEFIT]["granted"][own["detail"]]
        money, intact = int(own["amount"].sum() + granted.sum()), not own["mangling"].any()
        delivery = inbox.send(parcel, table, money, sent_at, intact)
        judged = judge(own, granted, sent_at, day.city.settings.calendar)
        totals.count(own, judged)
        _expect_findings(totals, delivery.manifest.file, parcel.service, own, judged, details)
        row_file.append(delivery.manifest.file, own, judged)
        sent.append(delivery)
    if len(details.bills):
        totals.count_bills(rows, final_status(rows), details.by_service[Service.UTILITY], details.bills)
    return sent


def _expect_findings(
    totals: DayTruth, file: str, service: Service, rows: Table, judged: Table, details: Details
) -> None:
    detail = details.by_service.get(service, {})
    if service is Service.MEDICAL:
        totals.expect_settlement_findings(file, rows, judged, detail)
    elif service is Service.UTILITY:
        totals.expect_bill_findings(file, rows, judged, detail, details.bills)
