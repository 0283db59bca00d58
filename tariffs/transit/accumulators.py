"""Steps that remember what a card did before: transfer windows, caps, cumulative discounts, passes.

Each owns an accumulator of its name per card. A row that a final concession has closed passes them by and
moves nothing; so does a row without a price.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from tariffs.columns import Bools, Ints
from tariffs.errors import ParameterError
from tariffs.parameters import Context, Fen, Flag, PositiveQuantity, Quantity, Ratio, Strict
from tariffs.rounding import RoundingMode
from tariffs.tables import Table
from tariffs.transit.chunk import Chunk, Conditional, Operation, Phase, TransitStep
from tariffs.transit.columns import CLASS_CODES, CardClass, ClassName
from tariffs.transit.conditions import Condition, When, class_mask
from tariffs.transit.kernels import rows, walk
from tariffs.transit.zones import ZONES_MAX, zone_fares

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""The accumulator keeps what it holds under this name across dated segments and batches."""

_ROUNDING: dict[RoundingMode, int] = {
    "half_up": walk.HALF_UP,
    "half_even": walk.HALF_EVEN,
    "down": walk.DOWN,
    "up": walk.UP,
}
_OPTIONS_MAX = 256


@dataclass(frozen=True)
class Accumulator:
    """A compiled accumulating step; ``apply`` only marks its rows, the walk along the cards does the rest.

    ``terms`` are fields of ``walk.TERM`` with their values; ``table`` int64 flat.
    """

    name: str
    holds: str
    """What the accumulator counts, in words: a name that holds another thing from some day on is refused."""
    position: int
    terms: tuple[tuple[str, int], ...]
    table: Ints
    legs: Legs | None
    shared: bool
    slots: int = 1
    """Memories per card it takes."""

    def apply(self, chunk: Chunk) -> None:
        if self.legs is None:
            rows.mark_takers(chunk.open, chunk.condition, chunk.priced, self.position, chunk.marks)
            return
        takers = chunk.takers() & chunk.priced
        origins = takers & self.legs.rows(chunk, self.legs.origins, takers)
        objects = takers & self.legs.rows(chunk, self.legs.objects, takers)
        rows.mark_rows(objects, origins, self.position, chunk.marks)


@dataclass(frozen=True)
class Legs:
    """Which rows of a transfer rule open a window, and which may use one."""

    classes: Bools
    origins: Condition | None
    objects: Condition | None

    def rows(self, chunk: Chunk, condition: Condition | None, among: Bools) -> Bools:
        """Rows of the rule's classes for which the condition holds; those it cannot decide are refused."""
        inside = chunk.of_class(self.classes)
        if condition is not None:
            holds, undecided = condition.of(chunk.journeys)
            inside &= holds
            if undecided is not None:
                chunk.refuse(undecided & among)
        return inside


def accumulator_of(operation: Operation) -> Accumulator:
    """The accumulator behind an operation of phase ACCUMULATE, with or without a condition."""
    inner = operation.step if isinstance(operation, Conditional) else operation
    assert isinstance(inner, Accumulator)
    return inner


def refuse_renamed(segments: Iterable[Sequence[Operation]]) -> None:
    """ParameterError when an accumulator holds one thing in a segment and another in a later one."""
    held: dict[str, str] = {}
    for operations in segments:
        for step in map(accumulator_of, operations):
            if held.setdefault(step.name, step.holds) != step.holds:
                remedy = f"it holds {held[step.name]} before and {step.holds} later: give the later step a new name"
                raise ParameterError("steps", step.name, remedy)


class AccumulatingStep(TransitStep):
    """Parameters of a step that remembers."""

    phase: ClassVar[Phase] = Phase.ACCUMULATE
    name: Name
    shared: Flag = False
    """Tariffs that are priced together have one memory of this name."""

    @abstractmethod
    def compile(self, context: Context) -> Accumulator:
        """The step as terms of the kernel."""


class Period(Strict):
    """When counting begins anew: by the tariff's clock, or a number of days after the first counted journey.

    ``rolling_from: day`` counts whole operating days, ``tap`` exactly 24 hours each from the first tap.
    """

    unit: Literal["day", "week", "calendar_month", "calendar_year", "rolling"]
    days: Annotated[int, Field(strict=True, ge=1, le=3660)] | None = None
    rolling_from: Literal["day", "tap"] | None = None

    def columns(self) -> dict[str, int]:
        """Terms of the kernel; ParameterError unless ``days`` and ``rolling_from`` stand with ``rolling`` only."""
        rolling = self.unit == "rolling"
        if rolling != (self.days is not None) or rolling != (self.rolling_from is not None):
            remedy = "give days and rolling_from with unit rolling, and only there"
            raise ParameterError("period", self.model_dump(exclude_none=True), remedy)
        units = {
            "day": walk.DAY,
            "week": walk.WEEK,
            "calendar_month": walk.MONTH,
            "calendar_year": walk.YEAR,
            "rolling": walk.ROLLING_DAYS if self.rolling_from == "day" else walk.ROLLING_TAP,
        }
        return {"unit": units[self.unit], "length": self.days or 0}


class TransferWindow(AccumulatingStep):
    """A leg that follows another within ``window_s`` seconds pays less; a transfer rule names its classes.

    The window belongs to one card class and remembers the highest fare in it (before this step), the line and
    the mode of its last origin. ``from_tap: first`` measures from the leg that opened it, ``last`` from the
    last origin. With ``extend_on_step_up`` a leg dearer than all before in the window restarts it. A leg that
    costs nothing before this step neither opens nor uses a window. After ``transfers_at_most`` the next leg
    pays in full and opens a new window.
    """

    from_legs: When | Literal["all"]
    to_legs: When | Literal["all"]
    classes: Annotated[list[ClassName], Field(min_length=1)] | Literal["all"]
    window_s: PositiveQuantity
    inclusive: Flag
    from_tap: Literal["first", "last"]
    measure: Literal["departure_to_departure", "departure_to_arrival", "arrival_to_departure", "arrival_to_arrival"]
    between: Literal["any", "other_line", "other_mode"]
    transfers_at_most: Annotated[int, Field(strict=True, ge=1)] | Literal["unlimited"]
    extend_on_step_up: Flag
    pay: Literal["free", "difference", "minus", "per_10000"]
    minus: Fen | None = None
    floor: Fen | None = None
    per_10000: Ratio | None = None
    rounding: RoundingMode | None = None

    def compile(self, context: Context) -> Accumulator:
        self._check_pay()
        since, until = self.measure.split("_to_")
        pays = {
            "free": walk.FREE,
            "difference": walk.DIFFERENCE,
            "minus": walk.MINUS,
            "per_10000": walk.RATIO,
        }
        between = {"any": walk.ANY, "other_line": walk.OTHER_LINE, "other_mode": walk.OTHER_MODE}
        limit = -1 if self.transfers_at_most == "unlimited" else self.transfers_at_most
        columns = {
            "window": self.window_s,
            "inclusive": int(self.inclusive),
            "from_last": int(self.from_tap == "last"),
            "since_exit": int(since == "arrival"),
            "until_exit": int(until == "arrival"),
            "pay": pays[self.pay],
            "taken_off": self.minus or 0,
            "floor": self.floor or 0,
            "per": self.per_10000 or 0,
            "rounding": _ROUNDING[self.rounding or "down"],
            "limit": limit,
            "between": between[self.between],
            "extend": int(self.extend_on_step_up),
        }
        mask = class_mask(None if self.classes == "all" else self.classes)
        if mask is None:
            mask = np.ones(CLASS_CODES, np.bool_)
        legs = Legs(mask, _condition(self.from_legs, "from_legs"), _condition(self.to_legs, "to_legs"))
        return _accumulator(context, self, "transfer_window", walk.TRANSFER, columns, legs=legs)

    def _check_pay(self) -> None:
        needed = {"minus": {"minus", "floor"}, "per_10000": {"per_10000", "rounding"}}.get(self.pay, set())
        for name in ("minus", "floor", "per_10000", "rounding"):
            if (getattr(self, name) is not None) != (name in needed):
                remedy = f"pay: {self.pay} goes with {', '.join(sorted(needed)) or 'none of these'}"
                raise ParameterError(name, getattr(self, name), remedy)


class ZoneLimits(Strict):
    """Limits by the widest zone range the card has used in the period, from a table.

    Columns ``zone_low``, ``zone_high`` and those named per class; a range that is not listed has no cap.
    """

    table: str
    columns: Annotated[dict[ClassName | Literal["all"], str], Field(min_length=1)]


class Cap(AccumulatingStep):
    """What the card pays in a period goes no higher than the limit of its class.

    ``capping_ride`` says what the ride that reaches the limit costs: the remainder, or its full fare. A class
    that has no limit is not capped. Counted is what the card pays in the end.
    """

    period: Period
    limits: Annotated[dict[ClassName | Literal["all"], Fen], Field(min_length=1)] | None = None
    by_zones: ZoneLimits | None = None
    capping_ride: Literal["remainder", "full_fare"]

    def compile(self, context: Context) -> Accumulator:
        if (self.limits is None) == (self.by_zones is None):
            raise ParameterError("limits", self.limits, "give limits or by_zones, not both")
        if self.limits is not None:
            span = 0
            layers: dict[str, Ints] = {name: np.array([limit], np.int64) for name, limit in self.limits.items()}
        else:
            assert self.by_zones is not None
            span, layers = _zone_layers(context, self.by_zones)
        columns = self.period.columns() | {
            "cap_span": span,
            "cap_full": int(self.capping_ride == "full_fare"),
        }
        table = np.concatenate([_layer_of_class(layers), *layers.values()])
        return _accumulator(context, self, "cap", walk.CAP, columns, table=table)


class ZoneRangeFares(Strict):
    """Fares from a table with the columns ``entry`` and ``exit`` (zones, each pair once for both ways)."""

    table: str
    full: str
    reduced: str


class ZoneRangeCaps(Strict):
    """Caps from a table with the columns ``zone_low`` and ``zone_high``; a price of −1 = no such cap."""

    table: str
    full: str
    reduced: str


class Cheapest(AccumulatingStep):
    """All legs of a period cost what the cheapest combination of one cap and single fares costs.

    A cap covers every leg (``full``), or those for which ``reduced`` holds, inside its zones; what of a leg lies
    outside pays the single fares of the zones left, or that of the whole leg if less. Each leg pays what it adds
    to the cheapest combination so far, so that the sum is right whenever the period ends. Zones that a
    travelcard covers (step ``extension``) cost nothing.
    """

    period: Period
    reduced: When
    fares: ZoneRangeFares
    caps: ZoneRangeCaps

    def compile(self, context: Context) -> Accumulator:
        names = [self.fares.full, self.fares.reduced]
        fares, span = zone_fares(context.table(self.fares.table), names, "fares")
        prices = context.table(self.caps.table)
        low, high = _zone_ranges(prices, "caps.table")
        if int(high.max(initial=0)) >= span:
            raise ParameterError("caps.table", self.caps.table, "a cap reaches beyond the zones that have fares")
        caps = [
            np.column_stack([prices.column(column), low, high, np.full(len(low), only)])
            for column, only in ((self.caps.full, 0), (self.caps.reduced, 1))
        ]
        offered = np.concatenate(caps)
        offered = offered[offered[:, 0] >= 0]
        if len(offered) >= _OPTIONS_MAX:
            raise ParameterError("caps.table", self.caps.table, f"a table has at most {_OPTIONS_MAX - 1} caps")
        columns = self.period.columns() | {"zones": span, "options": len(offered) + 1}
        legs = Legs(np.ones(CLASS_CODES, np.bool_), _condition(self.reduced, "reduced"), None)
        table = np.concatenate([fares.ravel(), offered.ravel()]).astype(np.int64)
        step = _accumulator(
            context,
            self,
            "cheapest",
            walk.CHEAPEST,
            columns,
            holds=f"cheapest of {len(offered) + 1}",
            table=table,
            legs=legs,
        )
        return replace(step, slots=len(offered) + 1)


class ZoneAmounts(Strict):
    """Amounts by the zones of the cap that is met: a table with ``zone_low`` and ``zone_high``; others get none."""

    table: str
    column: str


class Rebate(AccumulatingStep):
    """Money back for days on which a cap was met, once that has happened ``days_at_least`` times in the period.

    ``of`` names a cap or a cheapest combination before this step. What is credited (for the days before too) comes
    off the leg and those that follow; what they do not use up is carried on, past the end of the period.
    """

    period: Period
    of: Name
    days_at_least: PositiveQuantity
    amount: Fen | None = None
    by_zones: ZoneAmounts | None = None

    def compile(self, context: Context) -> Accumulator:
        if self.of not in context.accumulators:
            raise ParameterError("of", self.of, "name a cap or cheapest step before this one")
        if (self.amount is None) == (self.by_zones is None):
            raise ParameterError("amount", self.amount, "give amount or by_zones, not both")
        span, table = 0, np.empty(0, np.int64)
        if self.by_zones is not None:
            source = context.table(self.by_zones.table)
            low, high = _zone_ranges(source, "by_zones.table")
            span = int(high.max(initial=0)) + 1
            table = np.zeros(span * span, np.int64)
            table[low * span + high] = source.column(self.by_zones.column)
            if (table < 0).any():
                raise ParameterError("by_zones.table", source.name, "leave a range out instead")
        columns = self.period.columns() | {
            "of_step": context.accumulators.index(self.of),
            "times": self.days_at_least,
            "amount": self.amount or 0,
            "amount_span": span,
        }
        return replace(_accumulator(context, self, "rebate", walk.REBATE, columns, table=table), slots=2)


class CumulativeBand(Strict):
    """From ``start`` (fen, or journeys) on, a journey pays ``per_10000``."""

    start: Quantity
    per_10000: Ratio


class Cumulative(AccumulatingStep):
    """A discount that grows with what was counted in the period before the journey.

    ``next_ride``: the whole journey pays the ratio of what was counted before it. ``excess_part``: only the
    part beyond each threshold does. Counted are the full fares, what the card pays in the end, or journeys:
    legs that continue a transfer window belong to the journey that opened it, legs that cost nothing are none.
    """

    period: Period
    basis: Literal["gross", "paid", "journeys"]
    mode: Literal["next_ride", "excess_part"]
    bands: Annotated[list[CumulativeBand], Field(min_length=1)]
    rounding: RoundingMode
    to: PositiveQuantity = 1

    def compile(self, context: Context) -> Accumulator:
        starts = [band.start for band in self.bands]
        if starts[0] != 0 or sorted(set(starts)) != starts:
            raise ParameterError("bands", starts, "start at 0 and let the starts rise strictly")
        if self.basis == "journeys" and self.mode == "excess_part":
            raise ParameterError("mode", self.mode, "a journey has no part beyond a number of journeys: next_ride")
        if self.to > 100:
            raise ParameterError("to", self.to, "round to a multiple of at most 100 fen")
        basis = {"gross": walk.GROSS, "paid": walk.PAID, "journeys": walk.JOURNEYS}
        columns = self.period.columns() | {
            "basis": basis[self.basis],
            "excess": int(self.mode == "excess_part"),
            "bands": len(self.bands),
            "rounding": _ROUNDING[self.rounding],
            "to": self.to,
        }
        table = np.array([*starts, *(band.per_10000 for band in self.bands)], np.int64)
        return _accumulator(
            context,
            self,
            "cumulative",
            walk.CUMULATIVE,
            columns,
            holds=f"cumulative {self.basis}",
            table=table,
        )


class Quota(Strict):
    """How many journeys, or different operating days, the pass covers in a period; one of the two."""

    rides: PositiveQuantity | None = None
    days: PositiveQuantity | None = None


class Pass(AccumulatingStep):
    """Journeys under a pass pay ``per_10000`` of the fare until the quota of the period is used, then normally."""

    period: Period
    quota: Quota | Literal["unlimited"]
    per_10000: Ratio
    rounding: RoundingMode

    def compile(self, context: Context) -> Accumulator:
        amount, of = -1, walk.RIDES
        if isinstance(self.quota, Quota):
            if (self.quota.rides is None) == (self.quota.days is None):
                raise ParameterError("quota", self.quota.model_dump(), "give rides or days")
            amount = self.quota.rides or self.quota.days or 0
            of = walk.DAYS if self.quota.rides is None else walk.RIDES
        columns = self.period.columns() | {
            "quota": amount,
            "quota_of": of,
            "per": self.per_10000,
            "rounding": _ROUNDING[self.rounding],
        }
        return _accumulator(context, self, "pass", walk.PASS, columns)


def _accumulator(
    context: Context,
    written: AccumulatingStep,
    step: str,
    kind: int,
    columns: Mapping[str, int],
    *,
    holds: str | None = None,
    table: Ints | None = None,
    legs: Legs | None = None,
) -> Accumulator:
    terms = {**columns, "kind": kind, "rule": context.rule(f"{step}.{written.name}")}
    return Accumulator(
        written.name,
        holds or step,
        context.accumulator(written.name),
        tuple(terms.items()),
        np.empty(0, np.int64) if table is None else table,
        legs,
        written.shared,
    )


def _condition(legs: When | Literal["all"], path: str) -> Condition | None:
    if isinstance(legs, str):
        return None
    try:
        return legs.compile()
    except ParameterError as error:
        raise ParameterError(f"{path}.{error.path}", error.value, error.remedy) from error


def _layer_of_class(layers: Mapping[str, Ints]) -> Ints:
    """Layer of each class code, shape (256,); −1 = the class has none."""
    names = list(layers)
    layer = np.full(CLASS_CODES, names.index("all") if "all" in names else -1, np.int64)
    for name in names:
        if name != "all":
            layer[CardClass[name.upper()]] = names.index(name)
    return layer


def _zone_layers(context: Context, limits: ZoneLimits) -> tuple[int, dict[str, Ints]]:
    """Number of zone codes and, per class, the limit of each range (low × span + high); −1 = none."""
    table = context.table(limits.table)
    low, high = _zone_ranges(table, "by_zones.table")
    span = int(high.max(initial=0)) + 1
    cell = low * span + high
    layers: dict[str, Ints] = {}
    for name, column in limits.columns.items():
        layer = np.full(span * span, -1, np.int64)
        layer[cell] = table.column(column)
        layers[name] = layer
    return span, layers


def _zone_ranges(table: Table, path: str) -> tuple[Ints, Ints]:
    """Lowest and highest zone of each row; ParameterError for a range that is none or stands twice."""
    low, high = table.column("zone_low"), table.column("zone_high")
    if int(high.max(initial=0)) >= ZONES_MAX or (low < 0).any() or (low > high).any():
        raise ParameterError(path, table.name, f"write 0 <= zone_low <= zone_high < {ZONES_MAX}")
    if len(np.unique(low * ZONES_MAX + high)) != len(low):
        raise ParameterError(path, table.name, "a zone range stands twice")
    return low, high
