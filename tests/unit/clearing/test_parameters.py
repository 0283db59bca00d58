"""Terminals' files: every cell is the engine's price; versions, activation, deltas, signatures."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from card_io.keys.entry import KeyKind
from card_io.keys.keystore import KeyStore
from card_io.keys.signature import SigningKey, VerifyKey
from card_io.parameters import Fare, FareTable, load_parameters, read_parameter
from card_io.records import NULL, Service
from clearing import calendar, pricing
from clearing.config import load_settings
from clearing.initialise import BLACKLIST_SCHEMA, KEYSTORE, initialise_centre
from clearing.parameters import ParameterSummary, publish_parameters
from clearing.price_tables import CLASSES, HORIZON, tables_of
from clearing.pricing import PriceBook
from clearing.records import Rows, empty_bills
from tariffs import load_tariff_book

PASSPHRASE = "parameters"
NOW = calendar.seconds_of("2026-03-02T12:00:00")
METRO, BUS, BIKE, PARKING, TAXI = 201, 211, 231, 241, 251


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    directory = tmp_path / "centre"
    initialise_centre(directory, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    return directory


@pytest.fixture
def without_bands(centre: Path) -> Path:
    """The centre with no price by the second: to find one asks for every second of a week, at each publication."""
    settings = centre / "centre.yaml"
    text = settings.read_text("utf-8")
    for by_the_second in ("{bike: demo.bike}", "{parking: demo.parking}"):
        assert text.count(by_the_second) == 1
        text = text.replace(by_the_second, "{}")
    settings.write_text(text, "utf-8")
    return centre


def publish(centre: Path, now: int = NOW, **options: int) -> ParameterSummary:
    return publish_parameters(centre, passphrase=PASSPHRASE, now=now, **options)


def centre_key(centre: Path) -> VerifyKey:
    store = KeyStore.unlock(centre / KEYSTORE, PASSPHRASE)
    [key] = store.stored(KeyKind.CENTRE_SIGNING)
    return SigningKey(key.secret).verify_key


def engine_prices(book: PriceBook, merchant: int, table: FareTable, columns: dict[str, object]) -> list[Fare | None]:
    """What the clearing engine makes of rows that charge nothing, by its own path."""
    gross, pays, priced = engine_amounts(book, merchant, table, columns)
    return [Fare(int(g), int(p)) if ok else None for g, p, ok in zip(gross, pays, priced, strict=True)]


def engine_amounts(book: PriceBook, merchant: int, table: FareTable, columns: dict[str, object]) -> list[np.ndarray]:
    """Gross fare, what the card pays, and whether there is a price."""
    n = len(np.asarray(next(iter(columns.values()))))
    day = calendar.day_number(datetime.date.fromisoformat(max(table.first_day, "2026-03-02")))
    empty = {"line": NULL, "entry_station": NULL, "exit_station": NULL, "distance_m": NULL, "duration_s": NULL}
    fixed = {"merchant_id": merchant, "mode": table.mode, "operating_day": day, "txn_time": NOW, "entry_time": NULL}
    fixed |= {"unflagged_transfer": 0, "gross_fare": NULL, "amount": 0, "incomplete": 0, **empty}
    rows = {name: np.full(n, value, np.int64) for name, value in fixed.items()}
    rows |= {name: np.asarray(values, np.int64) for name, values in columns.items()}
    rows["card_class"] = rows["register_class"]
    for name in ("mode", "card_class", "register_class", "transfer_flag", "unflagged_transfer", "incomplete"):
        rows[name] = rows[name].astype(np.uint8)
    rows["card_id"] = np.zeros(n, np.uint64)
    priced = pricing.price(Rows(Service.TRANSIT, rows, empty_bills()), book)
    # Charged nothing, so what the card should have paid is what the operator is short of.
    pays = priced["gross"] - priced["fund_paid"]
    return [priced["gross"], _card_pays(book, table, rows, pays), priced["priced"]]


def _card_pays(book: PriceBook, table: FareTable, rows: dict[str, np.ndarray], most: np.ndarray) -> np.ndarray:
    """What the card pays: charge the most it could and take what clearing accepts of it as the card's part."""
    charged = Rows(Service.TRANSIT, {**rows, "amount": most + 10**6}, empty_bills())
    return pricing.price(charged, book)["card_paid"]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> PriceBook:
    directory = tmp_path_factory.mktemp("book") / "centre"
    initialise_centre(directory, simulated=True, passphrase=PASSPHRASE, scrypt_n=2)
    return PriceBook.load(directory, load_settings(directory))


def table_of(book: PriceBook, merchant: int) -> FareTable:
    tables, without = tables_of(book, book.settings.participant(merchant).tariff_by_mode, datetime.date(2026, 3, 2))
    assert without == {}
    [table] = tables
    return table


def test_every_cell_of_the_metro_table_is_the_engines_price(book: PriceBook) -> None:
    table = table_of(book, METRO)
    stations = [*table.stations, None]
    asked = [
        (card_class, transfer, entry, exit_)
        for card_class in CLASSES
        for transfer in (0, 1)
        for entry in stations
        for exit_ in stations
    ]
    columns = {
        "register_class": [each[0] for each in asked],
        "transfer_flag": [each[1] for each in asked],
        "entry_station": [NULL if each[2] is None else each[2] for each in asked],
        "exit_station": [NULL if each[3] is None else each[3] for each in asked],
        "incomplete": [int(None in each) for each in asked],
    }
    looked_up = [table.fare(c, t, entry=entry, exit_=exit_) for c, t, entry, exit_ in asked]
    assert len(asked) == 18 * table.cells == 18 * 13 * 13
    assert looked_up == engine_prices(book, METRO, table, columns)
    assert table.fare(0, 0, entry=101, exit_=103) == Fare(200, 200)
    assert table.fare(2, 0, entry=101, exit_=None) == Fare(900, 900)
    assert table.fare(0, 0, entry=101, exit_=999) is None


def test_every_cell_of_the_bus_table_is_the_engines_price(book: PriceBook) -> None:
    table = table_of(book, BUS)
    asked = [(card_class, transfer) for card_class in CLASSES for transfer in (0, 1)]
    columns = {"register_class": [each[0] for each in asked], "transfer_flag": [each[1] for each in asked]}
    assert table.cells == 1
    assert [table.fare(*each) for each in asked] == engine_prices(book, BUS, table, columns)
    assert table.fare(0, 1) == Fare(200, 160)


@pytest.mark.parametrize("merchant", [BIKE, PARKING])
def test_every_second_of_a_rental_is_the_engines_price(book: PriceBook, merchant: int) -> None:
    table = table_of(book, merchant)
    seconds = np.arange(HORIZON["duration_s"] + 1)
    for card_class in (0, 2):
        columns = {"register_class": np.full(len(seconds), card_class), "transfer_flag": np.zeros(len(seconds))}
        gross, pays, priced = engine_amounts(book, merchant, table, {**columns, "duration_s": seconds})
        bands = np.searchsorted(table.edges, seconds)
        row = table.group[card_class][0]
        assert priced.all()
        assert np.array_equal(np.asarray(table.gross[row])[bands], gross)
        assert np.array_equal(np.asarray(table.card_pays[row])[bands], pays)
    assert table.fare(0, 0, quantity=table.edges[0]) != table.fare(0, 0, quantity=table.edges[0] + 1)
    assert table.fare(0, 0, quantity=HORIZON["duration_s"] + 1) is None


def test_no_table_where_a_price_depends_on_more(book: PriceBook) -> None:
    tables, without = tables_of(book, {4: "demo.taxi", 1: "no.such"}, datetime.date(2026, 3, 2))
    assert tables == []
    assert set(without) == {"demo.taxi", "no.such"}


def test_no_table_for_what_remembers_or_looks_at_the_clock() -> None:
    from importlib import resources

    from tariffs.transit.axes import NoTableError, axes_of

    library = load_tariff_book(Path(str(resources.files("tariffs").joinpath("library"))))
    for name, reason in {"demo.offpeak": "timeframe", "newyork.omny": "remembers"}.items():
        with pytest.raises(NoTableError, match=reason):
            axes_of(library[name], 0)


def test_what_is_published_verifies_and_becomes_active_when_it_says(centre: Path) -> None:
    summary = publish(centre, active_in=3600)
    assert summary.without_table.keys() == {"demo.taxi", "demo.bus_transfer"}
    folder = centre / "outbox" / "200" / "parameters"
    before = load_parameters(folder, centre_key(centre), NOW, merchant_id=METRO)
    assert (before.fares, len(before.pending), before.refused) == (None, 4, [])
    after = load_parameters(folder, centre_key(centre), NOW + 3600, merchant_id=METRO)
    assert after.versions == {"blacklist": 1, "calendar": 1, "fares": 1, "keys": 1}
    assert after.fares is not None
    assert after.fares.table(1, "2026-03-02") is not None
    assert after.keys is not None
    own = int("3104770000000001", 16)
    day = "2026-03-02"
    assert after.keys.permits(own, load=False, version=1, index=2, algorithm=0, day=day) is True
    assert after.keys.permits(own, load=False, version=9, index=2, algorithm=0, day=day) is False
    assert after.keys.permits(1, load=False, version=1, index=1, algorithm=0, day=day) is None
    assert after.calendar is not None
    assert after.calendar.operating_day(calendar.seconds_of("2026-03-02T02:59:59")) == "2026-03-01"


def test_a_file_changed_renamed_or_signed_by_another_is_refused_and_the_older_stays(without_bands: Path) -> None:
    centre = without_bands
    publish(centre)
    folder, key = centre / "outbox" / "200" / "parameters", centre_key(centre)
    [path] = folder.glob("fares-*.json")
    document = json.loads(path.read_bytes())
    forged = path.with_name(path.name.replace("00000001.json", "00000002.json"))
    document["version"] = 2
    forged.write_text(json.dumps(document))
    path.with_name("copy.json").write_bytes(path.read_bytes())
    found = load_parameters(folder, key, NOW, merchant_id=METRO)
    assert found.versions["fares"] == 1
    assert {error.file for error in found.refused} == {forged.name, "copy.json"}
    stranger = load_parameters(folder, SigningKey(bytes(32)).verify_key, NOW, merchant_id=METRO)
    assert (stranger.fares, len(stranger.refused)) == (None, 6)


def list_cards(centre: Path, entries: list[tuple[int, int, int]]) -> None:
    columns = list(zip(*entries, strict=True)) or [(), (), ()]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, BLACKLIST_SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=BLACKLIST_SCHEMA), centre / "registers" / "blacklist.parquet")


def test_the_blacklist_in_full_and_as_changes_say_the_same(
    without_bands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = without_bands
    numbers = {1: "3104770000000000001", 2: "3104770000000000002", 3: "3104770000000000003"}
    monkeypatch.setattr(
        "clearing.cards.Vault.card_texts", lambda self, ids: {c: numbers[c] for c in ids.tolist() if c in numbers}
    )
    folder, key = centre / "outbox" / "200" / "parameters", centre_key(centre)
    for step, entries in enumerate(
        ([(1, 0, NOW + 10)], [(1, 0, NOW + 10), (2, NOW + 5, NOW * 2)], [(3, 0, NOW * 2)])
    ):
        list_cards(centre, [*entries, (99, 0, NOW * 2)])
        assert publish(centre, NOW + 7 * step).listed_unknown == 1
    at = NOW + 100
    full = load_parameters(folder, key, at, merchant_id=METRO)
    assert (full.blacklist, full.versions["blacklist"]) == (frozenset({numbers[3]}), 3)
    for path in [
        *folder.glob("blacklist-0000000000-00000002.json"),
        *folder.glob("blacklist-0000000000-00000003.json"),
    ]:
        path.unlink()
    by_changes = load_parameters(folder, key, at, merchant_id=METRO)
    assert (by_changes.blacklist, by_changes.versions["blacklist"]) == (full.blacklist, 3)
    (folder / "blacklist-delta-0000000000-00000002.json").unlink()
    gap = load_parameters(folder, key, at, merchant_id=METRO)
    assert (gap.blacklist, gap.versions["blacklist"]) == (frozenset({numbers[1]}), 1)
    assert gap.pending == ["blacklist-delta-0000000000-00000003.json"]


def test_what_has_not_changed_gets_no_new_version(without_bands: Path) -> None:
    centre = without_bands
    first = publish(centre)
    again = publish(centre, NOW + 60)
    assert again.published == {}
    assert again.unchanged == sum(len(names) for names in first.published.values())
    (centre / "registers" / "holidays.csv").write_text(
        "date,kind,status\n2026-10-01,holiday,official\n2026-10-10,workday,official\n"
    )
    third = publish(centre, NOW + 120)
    assert third.published["200"] == ["calendar-0000000000-00000002.json"]
    path = centre / "outbox" / "200" / "parameters" / "calendar-0000000000-00000002.json"
    _, content = read_parameter(path, centre_key(centre))
    assert content.is_workday(datetime.date(2026, 10, 1)) is False
    assert content.is_workday(datetime.date(2026, 10, 10)) is True
    assert content.is_workday(datetime.date(2026, 10, 12)) is True
