"""Column-wise pricing against its row-wise twins, and the laws every price obeys."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import tariffs_reference as reference

import tariffs
from tariffs import (
    NULL,
    CompiledTariff,
    MedicalSettlements,
    MedicalState,
    MedicalVisits,
    TransitJourneys,
    UtilityState,
    UtilityUsages,
    compile_segment,
    load_tariff,
    price_transit,
    price_utility,
    settle_medical,
)
from tariffs.columns import Columns
from tariffs.compiler import compile_steps
from tariffs.rounding import divide
from tariffs.transit.pricing import CHUNK_ROWS
from tariffs.vocabulary import STEPS_OF_KIND

LIBRARY = Path(tariffs.__file__).parent / "library"
PRICED = Path(__file__).resolve().parents[2] / "cases" / "tariffs" / "priced"
TRANSIT_FILES = [
    *(LIBRARY / f"{name}.yaml" for name in ("demo.metro", "demo.bus", "demo.bike", "demo.parking", "demo.taxi")),
    *(LIBRARY / f"{name}.yaml" for name in ("shenzhen.metro", "shenzhen.bus", "beijing.subway")),
    *(LIBRARY / f"{name}.yaml" for name in ("singapore.mrt", "taipei.metro", "demo.taximeter", "demo.garage")),
    *(LIBRARY / f"{name}.yaml" for name in ("hangzhou.bike", "demo.offpeak")),
    PRICED / "directed_pairs.yaml",
    PRICED / "dated_values.yaml",
    PRICED / "by_class.yaml",
]
AMOUNTS = ("gross", "card_pays", "fund_pays", "fund", "operator_bears", "priced")
MODES = st.sampled_from(["half_up", "half_even", "down", "up"])
UNITS = st.sampled_from([1, 10, 100])
DAY = (date(2026, 3, 2) - date(1970, 1, 1)).days


def random_journeys(seed: int, length: int) -> TransitJourneys:
    """Journeys with known, unknown and missing values in every column, band edges well represented."""
    rng = np.random.default_rng(seed)
    edges = np.array([0, 1, 2, 100, 299, 300, 301, 600, 900, 1800, 3000, 3600, 6099, 6100, 7200, 12_099, 12_100])
    big = np.array([NULL, -1, 86_400, 86_401, 1_000_000_000, 1_000_000_001, np.iinfo(np.int64).max])
    quantities = np.concatenate([edges, edges + 3600, big, rng.integers(0, 200_000, 20)])
    stations = np.array([*range(100, 114), 1, 2, 3, NULL, -1])
    # Two days of 2024, one a public holiday, one past every calendar; around the hours that matter.
    days = np.array(["2024-01-01", "2024-01-02", "2026-02-28", "2099-01-05"], "M8[s]").astype(np.int64)
    clocks = np.array([0, 17_999, 18_000, 25_199, 25_200, 27_899, 27_900, 32_400, 68_400, 82_800])
    entry_time = np.where(rng.random(length) < 0.1, NULL, rng.choice(days, length) + rng.choice(clocks, length))
    return TransitJourneys.of(
        length,
        entry_station=rng.choice(stations, length),
        exit_station=rng.choice(stations, length),
        entry_time=entry_time,
        exit_time=np.where(entry_time == NULL, NULL, entry_time + rng.choice([0, 899, 900, 901, 20_000], length)),
        distance_m=rng.choice(quantities, length),
        duration_s=rng.choice(quantities, length),
        gross_fare=rng.choice(quantities, length),
        card_class=rng.choice(np.array([*range(10), 255], np.uint8), length),
        transfer=rng.integers(0, 2, length),
        incomplete=rng.choice([0, 0, 0, 1], length),
        age=rng.choice([NULL, 59, 60, 65, 120], length),
    )


def rows_of(columns: Columns) -> list[dict[str, Any]]:
    """Columns as a list of plain rows."""
    return [{name: getattr(columns, name)[i].item() for name in columns.SPECS} for i in range(len(columns))]


def assert_same(first: Columns, second: Columns) -> None:
    for name in first.SPECS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


@pytest.mark.parametrize("file", TRANSIT_FILES, ids=lambda file: file.stem)
def test_library_transit_equals_its_twin(file: Path) -> None:
    tariff = load_tariff(file)
    journeys = random_journeys(seed=7, length=1_500)
    for index, segment in enumerate(tariff.segments):
        prices = price_transit(compile_segment(tariff, index), journeys)
        assert prices.priced.any()
        for row, answer in zip(rows_of(journeys), rows_of(prices), strict=True):
            expected = reference.price_journey(segment.steps, tariff.tables, row)
            assert {name: answer[name] for name in AMOUNTS} == expected, row


@pytest.mark.parametrize("file", TRANSIT_FILES, ids=lambda file: file.stem)
def test_transit_laws(file: Path) -> None:
    """Payers add up to the gross fare, nobody is paid, and neither splits nor order matter."""
    tariff = load_tariff(file)
    compiled = compile_segment(tariff, len(tariff.segments) - 1)
    journeys = random_journeys(seed=11, length=2 * CHUNK_ROWS + 17)
    prices = price_transit(compiled, journeys)
    payers = (prices.card_pays, prices.fund_pays, prices.operator_bears)
    np.testing.assert_array_equal(sum(payers), prices.gross)
    assert all((payer >= 0).all() for payer in payers)
    assert ((prices.fund != 0) == (prices.fund_pays > 0)).all()
    assert ((prices.rule != 0) == prices.priced).all()
    assert (prices.segment == compiled.segment).all()
    assert len(compiled.rule_names) > prices.rule.max()

    cut = 1_234
    parts = [price_transit(compiled, journeys.take(rows)) for rows in (slice(0, cut), slice(cut, None))]
    assert_same(prices, type(prices).concatenate(parts))
    shuffled = np.random.default_rng(3).permutation(len(journeys))
    assert_same(prices.take(shuffled), price_transit(compiled, journeys.take(shuffled)))
    assert len(price_transit(compiled, journeys.take(slice(0, 0)))) == 0


def compile_plain(kind: str, steps: list[dict[str, Any]]) -> tuple[CompiledTariff, list[tuple[str, Any]]]:
    """Steps written as in a file → compiled tariff and the validated steps the twins read."""
    validated = [(name, STEPS_OF_KIND[kind][name].model_validate(p)) for step in steps for name, p in step.items()]
    compiled = compile_steps(
        tariff_id="test.steps",
        kind=kind,
        segment=0,
        first_day=date(2026, 1, 1),
        last_day=date(2026, 12, 31),
        steps=validated,
        tables={},
    )
    return compiled, validated


rising_edges = st.lists(st.integers(0, 5_000), min_size=0, max_size=4, unique=True).map(sorted)


@st.composite
def marginal_bands(draw: st.DrawFn) -> list[dict[str, int]]:
    """Blocks that end open."""
    edges = [{"up_to": edge} for edge in draw(rising_edges)]
    return [
        end | {"per_started": draw(st.integers(1, 700)), "add": draw(st.integers(0, 999))} for end in [*edges, {}]
    ]


@st.composite
def discounts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A chain of steps on a terminal fare, in any mode of rounding."""
    bands = [{"up_to": edge} for edge in draw(rising_edges)]
    terms = {
        name: {"per_10000": draw(st.integers(0, 10_000)), "final": draw(st.booleans())}
        for name in draw(st.sets(st.sampled_from(reference.CLASSES), min_size=1))
    }
    chain: list[dict[str, Any]] = [
        {
            "discount": {
                "bands": [end | {"per_10000": draw(st.integers(0, 10_000))} for end in [*bands, {}]],
                "rounding": draw(MODES),
            }
        },
        {"factor": {"per_10000": draw(st.integers(0, 10_000)), "rounding": draw(MODES), "to": draw(UNITS)}},
        {"transfer": {"minus": draw(st.integers(0, 500)), "floor": draw(st.integers(0, 300)), "classes": ["adult"]}},
        {"concession": {"classes": terms, "others": "full_fare", "rounding": draw(MODES), "to": draw(UNITS)}},
    ]
    shares = {name: {"fund": 5, "per_10000": draw(st.integers(0, 10_000))} for name in terms}
    return [
        {"gross": {"source": "terminal"}},
        *draw(st.permutations(chain)),
        *([{"round": {"to": draw(st.integers(1, 60)), "mode": draw(MODES)}}] if draw(st.booleans()) else []),
        {"split": {"funds": shares, "remainder": "operator", "rounding": "largest_remainder"}},
    ]


def assert_equals_twin(steps: list[dict[str, Any]], journeys: TransitJourneys) -> None:
    compiled, validated = compile_plain("transit", steps)
    prices = rows_of(price_transit(compiled, journeys))
    for row, answer in zip(rows_of(journeys), prices, strict=True):
        expected = reference.price_journey(validated, {}, row)
        assert {name: answer[name] for name in AMOUNTS} == expected, row
        assert answer["card_pays"] + answer["fund_pays"] + answer["operator_bears"] == answer["gross"]
        assert min(answer[name] for name in AMOUNTS) >= 0


@settings(deadline=None)
@given(discounts(), st.integers(0, 2**32))
def test_any_chain_of_discounts_equals_its_twin(steps: list[dict[str, Any]], seed: int) -> None:
    assert_equals_twin(steps, random_journeys(seed, 60))


@settings(deadline=None)
@given(
    marginal_bands(), st.integers(0, 4_000), st.booleans(), st.none() | st.integers(400, 9_000), st.integers(0, 2**32)
)
def test_any_blocks_equal_their_twin(
    blocks: list[dict[str, int]], free: int, from_start: bool, period: int | None, seed: int
) -> None:
    stay: dict[str, Any] = {"free": free, "charge_from": "start" if from_start else "free_end", "blocks": blocks}
    if period is not None:
        stay["at_most"] = {"per_started": period, "fare": 1_500}
    # Few enough seconds that the twin's loop over periods stays short.
    journeys = TransitJourneys.of(40, duration_s=np.random.default_rng(seed).integers(-5, 20_000, 40))
    assert_equals_twin([{"duration_blocks": stay}], journeys)


@settings(deadline=None)
@given(marginal_bands(), st.lists(st.integers(0, 20_000), min_size=2, max_size=40))
def test_marginal_fares_rise_with_the_distance(bands: list[dict[str, int]], distances: list[int]) -> None:
    steps = [{"bands": {"of": "distance_m", "mode": "marginal", "bands": bands}}]
    journeys = TransitJourneys.of(len(distances), distance_m=sorted(distances))
    gross = price_transit(compile_plain("transit", steps)[0], journeys).gross
    assert (np.diff(gross) >= 0).all()
    assert_equals_twin(steps, journeys)


@given(st.lists(st.integers(0, 10**15), min_size=1), st.integers(1, 10**6), MODES)
def test_divide_equals_fractions(numerators: list[int], denominator: int, mode: Any) -> None:
    found = divide(np.array(numerators, np.int64), denominator, mode)
    expected = [reference.rounded(reference.Fraction(n, denominator), mode) for n in numerators]
    assert found.tolist() == expected


MEDICAL_FIELDS = [name for name in MedicalSettlements.SPECS if name not in {"rule", "segment", "priced"}]


def medical_steps(share_mode: str, prepay_mode: str, order: list[str]) -> list[dict[str, Any]]:
    """Small deductibles and caps, so that short years reach them."""
    cells = [(310, 1), (310, 3), (390, 1)]
    amounts = [{"insured": i, "level": v, "amount": 700 + 100 * v} for i, v in cells]
    shares = [{"insured": i, "level": v, "per_10000": 8_333 - 777 * v} for i, v in cells]
    caps = [{"insured": 310, "amount": 5_000}, {"insured": 390, "amount": 2_000}]
    return [
        {"prepay": {"category_b_per_10000": 1_234, "rounding": prepay_mode}},
        {"deductible": {"per": "person", "period": "calendar_year", "by": amounts}},
        {"share": {"rounding": share_mode, "by": shares}},
        {"annual_cap": {"per": "person", "period": "calendar_year", "by": caps}},
        {"waterfall": {"order": order}},
    ]


def random_visits(seed: int, length: int) -> MedicalVisits:
    rng = np.random.default_rng(seed)
    return MedicalVisits.of(
        length,
        person=rng.integers(0, 1 + length // 12, length),
        sequence=np.arange(length) * 3,
        settle_day=np.sort(DAY + rng.integers(0, 500, length)),
        insured=rng.choice([310, 390, 410], length, p=[0.6, 0.3, 0.1]),
        level=rng.choice([1, 3], length),
        category_a=rng.integers(0, 1_500, length),
        category_b=rng.integers(0, 900, length),
        category_c=rng.integers(0, 200, length),
        over_limit=rng.integers(0, 100, length),
        account_available=rng.integers(0, 600, length),
        purse_available=rng.integers(0, 300, length),
    )


WATERFALLS = st.sampled_from(
    [["account", "purse", "cash"], ["purse", "account", "cash"], ["account", "cash"], ["cash"]]
)


@settings(deadline=None)
@given(MODES, MODES, WATERFALLS, st.integers(0, 2**32), st.integers(0, 60))
def test_medical_equals_its_twin(share: str, prepay: str, order: list[str], seed: int, cut: int) -> None:
    """Same amounts and state as the twin; a batch cut anywhere and arriving in any order gives the same."""
    compiled, validated = compile_plain("medical", medical_steps(share, prepay, order))
    visits = random_visits(seed, 60)
    answers, state = settle_medical(compiled, visits, MedicalState.zeros(0))

    counters: reference.Counters = {}
    twins = reference.settle_visits(dict(validated), rows_of(visits), counters)
    for twin, answer in zip(twins, rows_of(answers), strict=True):
        assert {name: answer[name] for name in twin} == twin
    found = {(r["person"], r["year"]): [r["deductible_consumed"], r["fund_consumed"]] for r in rows_of(state)}
    assert found == counters

    first, carried = settle_medical(compiled, visits.take(slice(0, cut)), MedicalState.zeros(0))
    second, after = settle_medical(compiled, visits.take(slice(cut, None)), carried)
    assert_same(answers, type(answers).concatenate([first, second]))
    assert_same(state, after)
    shuffled = np.random.default_rng(seed).permutation(len(visits))
    reordered, after = settle_medical(compiled, visits.take(shuffled), MedicalState.zeros(0))
    assert_same(answers.take(shuffled), reordered)
    assert_same(state, after)


def test_medical_identities() -> None:
    compiled, _ = compile_plain("medical", medical_steps("half_up", "half_up", ["account", "purse", "cash"]))
    answers, _ = settle_medical(compiled, random_visits(5, 5_000), MedicalState.zeros(0))
    a = answers
    parts = a.fulamt_ownpay_amt + a.overlmt_selfpay + a.preselfpay_amt + a.inscp_scp_amt
    funds = a.hifp_pay + a.cvlserv_pay + a.hifes_pay + a.hifmi_pay + a.hifob_pay + a.maf_pay + a.oth_pay
    np.testing.assert_array_equal(a.medfee_sumamt, parts)
    np.testing.assert_array_equal(a.fund_pay_sumamt, funds)
    np.testing.assert_array_equal(a.medfee_sumamt, a.fund_pay_sumamt + a.psn_part_amt + a.hosp_part_amt)
    np.testing.assert_array_equal(a.psn_part_amt, a.acct_pay + a.psn_cash_pay)
    assert (a.purse_pay <= a.psn_cash_pay).all()
    assert all((getattr(a, name) >= 0).all() for name in MEDICAL_FIELDS)
    assert {compiled.rule_names[rule] for rule in np.unique(a.rule)} == set(compiled.rule_names)


@st.composite
def utility_steps(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Annual tiers of two components, with or without a household rule."""
    edges = draw(st.lists(st.integers(1, 300), max_size=3, unique=True).map(sorted))
    prices = st.integers(0, 99_999)
    tiers = [
        end | {"prices": {"water": draw(prices), "sewage": draw(prices)}}
        for end in [*({"up_to": edge} for edge in edges), {}]
    ]
    frame = {"per": "account", "period": "calendar_year", "rounding": draw(MODES)}
    steps = [{"tiers": frame | {"tiers": tiers, "rounding_of": draw(st.sampled_from(["running_total", "bill"]))}}]
    if edges and draw(st.booleans()):
        widths = sorted(draw(st.lists(st.integers(0, 50), min_size=len(edges), max_size=len(edges))))
        household = {"base_persons": 3, "units_per_extra_person": widths, "extra_persons_max": 4}
        steps.insert(0, {"household": household | {"on_change": "keep_cumulated_usage"}})
    return steps


def random_usages(seed: int, length: int) -> UtilityUsages:
    rng = np.random.default_rng(seed)
    return UtilityUsages.of(
        length,
        account=rng.integers(1, 5, length),
        sequence=np.arange(length),
        period_day=np.sort(DAY + rng.integers(0, 500, length)),
        usage_milli=rng.integers(0, 90_000, length),
        household=rng.integers(1, 10, length),
    )


@settings(deadline=None)
@given(utility_steps(), st.integers(0, 2**32), st.integers(0, 40))
def test_utility_equals_its_twin(steps: list[dict[str, Any]], seed: int, cut: int) -> None:
    """Same amounts and state as the twin; a batch cut anywhere and arriving in any order gives the same."""
    compiled, validated = compile_plain("utility", steps)
    usages = random_usages(seed, 40)
    prices, state = price_utility(compiled, usages, UtilityState.zeros(0))

    counters: reference.Counters = {}
    bills = reference.price_usages(dict(validated), rows_of(usages), counters)
    assert prices.components.tolist() == [[bill[name] for name in compiled.component_names] for bill in bills]
    assert {(r["account"], r["year"]): [r["usage_milli"]] for r in rows_of(state)} == counters
    np.testing.assert_array_equal(prices.gross, prices.components.sum(axis=1))
    assert prices.priced.all()

    first, carried = price_utility(compiled, usages.take(slice(0, cut)), UtilityState.zeros(0))
    second, after = price_utility(compiled, usages.take(slice(cut, None)), carried)
    assert_same(prices, type(prices).concatenate([first, second]))
    assert_same(state, after)
    shuffled = np.random.default_rng(seed).permutation(len(usages))
    reordered, after = price_utility(compiled, usages.take(shuffled), UtilityState.zeros(0))
    assert_same(prices.take(shuffled), reordered)
    assert_same(state, after)


def test_bills_of_a_year_add_up_to_the_year() -> None:
    """With rounding of the running total, reading dates and their order do not change what a year costs."""
    compiled = compile_segment(load_tariff(LIBRARY / "demo.water.yaml"), 0)
    usage = np.random.default_rng(2).integers(0, 40_000, 12)
    monthly = UtilityUsages.of(12, account=1, sequence=np.arange(12), period_day=DAY, usage_milli=usage)
    yearly = UtilityUsages.of(1, account=1, sequence=0, period_day=DAY, usage_milli=usage.sum())
    bills, _ = price_utility(compiled, monthly, UtilityState.zeros(0))
    whole, _ = price_utility(compiled, yearly, UtilityState.zeros(0))
    np.testing.assert_array_equal(bills.components.sum(axis=0), whole.components[0])


def test_rows_without_a_price_move_no_counter() -> None:
    water = compile_segment(load_tariff(LIBRARY / "demo.water.yaml"), 0)
    usages = UtilityUsages.of(
        3, account=1, sequence=[1, 2, 3], period_day=DAY, usage_milli=[-1, 5_000, 5_000], household=[1, 0, 1]
    )
    prices, state = price_utility(water, usages, UtilityState.zeros(0))
    assert prices.priced.tolist() == [False, False, True]
    assert (prices.gross.tolist(), state.usage_milli.tolist()) == ([0, 0, 2_500], [5_000])

    medical = compile_segment(load_tariff(LIBRARY / "demo.medical.yaml"), 0)
    visits = MedicalVisits.of(
        2, person=1, sequence=[1, 2], settle_day=DAY, insured=310, level=[9, 1], category_a=[60_000, 1_000]
    )
    answers, after = settle_medical(medical, visits, MedicalState.zeros(0))
    assert answers.priced.tolist() == [False, True]
    assert after.deductible_consumed.tolist() == [1_000]


def test_an_empty_batch_leaves_the_state_alone() -> None:
    water = compile_segment(load_tariff(LIBRARY / "demo.water.yaml"), 0)
    state = UtilityState.of(2, account=[4, 9], year=2026, usage_milli=[1_000, 2_000])
    prices, after = price_utility(water, UtilityUsages.zeros(0), state)
    assert len(prices) == 0
    assert_same(state, after)

    medical = compile_segment(load_tariff(LIBRARY / "demo.medical.yaml"), 0)
    year = MedicalState.of(1, person=4, year=2026, deductible_consumed=5, fund_consumed=6)
    answers, settled = settle_medical(medical, MedicalVisits.zeros(0), year)
    assert len(answers) == 0
    assert_same(year, settled)


def test_ambiguous_order_is_a_programming_error() -> None:
    water = compile_segment(load_tariff(LIBRARY / "demo.water.yaml"), 0)
    twice = UtilityUsages.of(2, account=1, sequence=4, period_day=DAY, usage_milli=1)
    with pytest.raises(ValueError, match="owner 1 has the sequence 4 twice"):
        price_utility(water, twice, UtilityState.zeros(0))
    state = UtilityState.of(2, account=1, year=2026, usage_milli=0)
    with pytest.raises(ValueError, match="the state holds an"):
        price_utility(water, twice.take(slice(0, 1)), state)


def test_columns_are_checked() -> None:
    with pytest.raises(TypeError, match="TransitJourneys has no column colour"):
        TransitJourneys.of(1, colour=1)
    with pytest.raises(TypeError, match=r"MedicalVisits\.person must be given"):
        MedicalVisits.of(1)
    with pytest.raises(TypeError, match=r"TransitJourneys\.gross_fare: float64 values are not integers"):
        TransitJourneys.of(1, gross_fare=2.0)
    with pytest.raises(ValueError, match=r"TransitJourneys\.card_class: values do not fit uint8"):
        TransitJourneys.of(1, card_class=np.array([256]))
    state = UtilityState.zeros(2)
    with pytest.raises(TypeError, match=r"UtilityState\.year: int32, expected int64"):
        UtilityState(state.account, state.year.astype(np.int32), state.usage_milli)
    with pytest.raises(ValueError, match="columns of unequal length"):
        UtilityState(state.account, state.year[:1], state.usage_milli)
