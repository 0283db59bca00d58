"""One journey over several operators: parts that sum to the whole, against the plain twin."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import tariffs_reference as reference
from transit_cases import TABLES, Steps, compiled_steps, random_journeys, rows_of

from tariffs import PartyAmounts, TransitJourneys, apportion_transit, price_transit
from tariffs.errors import ParameterError

BY_DISTANCE = {"distance": {"table": "pairs", "directed": False, "columns": {
    7: "metres_a", 5: "metres_b", 6: "metres_c"}}, "rounding": "largest_remainder"}  # fmt: skip
FARE: Steps = [
    {"gross": {"source": "terminal"}},
    {"concession": {"classes": {"elderly": {"per_10000": 3_333, "final": True}}, "others": "full_fare",
                    "rounding": "half_up"}},
    {"split": {"funds": {"elderly": {"fund": 1, "per_10000": 5_000}}, "remainder": "operator",
               "rounding": "largest_remainder"}},
]  # fmt: skip


def apportioned(steps: Steps, journeys: TransitJourneys) -> PartyAmounts:
    """Parts of ``journeys``, after comparing each with the twin's."""
    compiled, validated = compiled_steps(steps)
    prices = price_transit(compiled, journeys)
    parts = apportion_transit(compiled, journeys, prices)
    assert (np.diff(parts.parties) > 0).all()
    for position, (row, price) in enumerate(zip(rows_of(journeys), rows_of(prices), strict=True)):
        expected = reference.apportion_journey(validated, TABLES, row, price)
        assert parts.apportioned[position] == (expected is not None)
        found = dict(zip(parts.parties.tolist(), parts.amounts[position].tolist(), strict=True))
        assert {party: fen for party, fen in found.items() if fen} == {
            party: fen for party, fen in (expected or {}).items() if fen
        }
    return parts


def test_the_odd_fen_goes_to_the_largest_remainder_then_to_the_first_named() -> None:
    shares = {"of": "gross", "shares": {9: 3_333, 4: 3_333, 2: 3_334}, "rounding": "largest_remainder"}
    parts = apportioned([*FARE, {"apportion": shares}], TransitJourneys.of(3, gross_fare=[100, 2, 0]))
    assert parts.parties.tolist() == [2, 4, 9]
    assert parts.amounts.tolist() == [[34, 33, 33], [1, 0, 1], [0, 0, 0]]


def test_a_remainder_party_takes_the_rest() -> None:
    shares = {"of": "card_pays", "shares": {1: 3_333}, "remainder": 2, "rounding": "down"}
    amounts = {"of": "gross", "amounts": {3: 150, 1: 100}, "remainder": 2, "rounding": "down"}
    journeys = TransitJourneys.of(3, gross_fare=[100, 200, 1_000])
    assert apportioned([*FARE, {"apportion": shares}], journeys).amounts.tolist() == [[33, 67], [66, 134], [333, 667]]
    assert apportioned([*FARE, {"apportion": amounts}], journeys).amounts.tolist() == [
        [0, 0, 100],
        [50, 0, 150],
        [100, 750, 150],
    ]


def test_by_distance_where_the_table_knows_the_pair_else_by_share() -> None:
    steps = [
        *FARE,
        {"apportion": BY_DISTANCE | {"of": "gross"}},
        {
            "apportion": {
                "of": "gross",
                "shares": {5: 10_000},
                "rounding": "largest_remainder",
                "when": {"lines": [1]},
            }
        },
    ]
    journeys = TransitJourneys.of(
        4, gross_fare=100, entry_station=[1, 1, 3, 3], exit_station=[3, 2, 3, 3], line=[1, 1, 1, 2]
    )
    parts = apportioned(steps, journeys)
    assert parts.amounts.tolist() == [[33, 33, 34], [0, 1, 99], [100, 0, 0], [0, 0, 0]]
    assert parts.apportioned.tolist() == [True, True, True, False]


def test_a_tariff_that_does_not_apportion_says_so() -> None:
    parts = apportioned(FARE, TransitJourneys.of(2, gross_fare=100))
    assert (parts.amounts.shape, parts.apportioned.tolist()) == ((2, 0), [False, False])


@st.composite
def apportions(draw: st.DrawFn) -> dict[str, Any]:
    step: dict[str, Any] = {"of": draw(st.sampled_from(["gross", "card_pays", "card_and_fund"]))}
    if draw(st.booleans()):
        step["when"] = draw(st.sampled_from([{"lines": [1]}, {"classes": ["elderly"]}, {"same_station": False}]))
    cuts = sorted(draw(st.lists(st.integers(0, 10_000), min_size=2, max_size=4)))
    ends = [*cuts, 10_000]
    shares = {party: high - low for party, (low, high) in enumerate(zip([0, *cuts], ends, strict=True), start=3)}
    rest = {"shares": {1: cuts[0], 8: cuts[1] - cuts[0]}, "remainder": 2, "rounding": "down"}
    ways = [
        {"shares": shares, "rounding": "largest_remainder"},
        rest,
        {"amounts": {4: cuts[0] // 20, 1: 5}, "remainder": 2, "rounding": "down"},
        BY_DISTANCE,
    ]
    return {"apportion": step | draw(st.sampled_from(ways))}


@settings(deadline=None)
@given(st.lists(apportions(), min_size=1, max_size=3), st.integers(0, 2**32))
def test_any_apportionment_equals_its_twin(steps: list[dict[str, Any]], seed: int) -> None:
    journeys = random_journeys(seed, 40)
    parts = apportioned([*FARE, *steps], journeys)
    assert (parts.amounts >= 0).all()
    if len({step["apportion"]["of"] for step in steps}) == 1:
        prices = price_transit(compiled_steps(FARE)[0], journeys)
        whole = {
            "gross": prices.gross,
            "card_pays": prices.card_pays,
            "card_and_fund": prices.card_pays + prices.fund_pays,
        }[steps[0]["apportion"]["of"]]
        np.testing.assert_array_equal(parts.amounts.sum(axis=1), np.where(parts.apportioned, whole, 0))


@pytest.mark.parametrize(
    ("step", "path"),
    [
        ({"rounding": "down"}, "shares"),
        ({"shares": {1: 9_999}, "rounding": "largest_remainder"}, "shares"),
        ({"shares": {1: 9_999, 2: 2}, "remainder": 3, "rounding": "down"}, "shares"),
        ({"shares": {1: 10_000}, "rounding": "down"}, "rounding"),
        ({"shares": {1: 1}, "remainder": 1, "rounding": "down"}, "remainder"),
        ({"amounts": {1: 1}, "rounding": "largest_remainder"}, "remainder"),
        (BY_DISTANCE | {"remainder": 9, "rounding": "down"}, "remainder"),
        ({"distance": BY_DISTANCE["distance"] | {"columns": {1: "metres_a", 2: "metres_a"}},
          "rounding": "largest_remainder"}, "distance.columns"),
        ({"shares": {1: 10_000}, "rounding": "largest_remainder", "when": {"age": {}}}, "when.age"),
    ],
)  # fmt: skip
def test_contradictions_are_refused(step: dict[str, Any], path: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        compiled_steps([*FARE, {"apportion": {"of": "gross"} | step}])
    assert refusal.value.path == f"steps[3].apportion.{path}"


def test_apportion_comes_last() -> None:
    whole = {"of": "gross", "shares": {1: 10_000}, "rounding": "largest_remainder"}
    with pytest.raises(ParameterError, match="apportion comes last") as refusal:
        compiled_steps([FARE[0], {"apportion": whole}, FARE[1]])
    assert refusal.value.path == "steps[2]"
