"""The parameters of a utility tariff as they stand in a file; :mod:`tariffs.utility.program` compiles them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tariffs.calendars import Calendar
from tariffs.parameters import Code, Fen, PositiveQuantity, Quantity, Ratio, Strict
from tariffs.rounding import RoundingMode
from tariffs.utility.windows import Window

UnitPrice = Annotated[int, Field(strict=True, ge=0, le=100_000_000_000)]
"""1/``price_scale`` yuan per unit, 1,000 yuan at most."""
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Share = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
"""1/10,000, a hundred times the whole at most."""
PriceScale = Literal[10_000, 1_000_000, 100_000_000]
"""Parts of a yuan that prices of a step are written in."""


class Customers(Strict):
    """Which rows a step or a price is for; a list left out admits all."""

    customer_class: Annotated[list[Code], Field(min_length=1)] | None = None
    meter_size: Annotated[list[Code], Field(min_length=1)] | None = None

    @property
    def admits_all(self) -> bool:
        """Whether nobody is left out."""
        return self.customer_class is None and self.meter_size is None


class BudgetShare(Strict):
    """A tier edge as a share of the budget: of the part by persons and of the site's own allowance."""

    persons_per_10000: Share
    allowance_per_10000: Share


class Tier(Strict):
    """Unit prices by component up to and including the edge; the last tier has none.

    The edge is a number of whole units per period (``up_to``), thousandths of a unit per day of the period
    (``up_to_per_day_milli``), the same per kW of the highest demand in the bill (``up_to_per_kw_milli``) or per kW
    and day (``up_to_per_kw_day_milli``), or a share of the budget (``up_to_budget``). With times of use a
    price may be a mapping from period to price; the edges are the same for all of them, and the step is for these
    only.
    """

    up_to: Annotated[int, Field(strict=True, ge=1, le=10_000_000)] | None = None
    up_to_per_day_milli: PositiveQuantity | None = None
    up_to_per_kw_milli: PositiveQuantity | None = None
    up_to_per_kw_day_milli: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    up_to_budget: BudgetShare | None = None
    prices: Annotated[dict[str, UnitPrice | dict[str, UnitPrice]], Field(min_length=1)]


class Budget(Strict):
    """Usage a bill is entitled to: per person (and per person and day), rounded to whole steps."""

    per_person_milli: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = 0
    per_person_day_milli: Annotated[int, Field(strict=True, ge=0, le=100_000)] = 0
    round_to_milli: PositiveQuantity
    rounding: RoundingMode


class Tiers(Strict):
    """Tiers over what an account uses in a period, billed in pieces: F(cumulated + usage) − F(cumulated).

    ``rounding_of: running_total`` rounds F, so that the bills of a period add up to the rounded period whatever
    the reading dates; ``bill`` rounds each component once per bill. Either way every component is rounded by
    itself and the gross amount is their sum. Several steps with the same components are alternatives (``only``
    chooses, the first that admits the row); steps with other components add up.

    ``fill`` says how rows of one bill share the tiers: in the order of reading, or each tier in proportion to
    the usage of the rows (in whole thousandths of a unit). ``on_price_change`` within a year: ``carry`` keeps the
    cumulated usage and the edges; ``prorate`` begins at nothing with edges scaled by the days of the new prices.
    """

    name: Name = "tiers"
    only: Customers = Customers()
    per: Literal["account"]
    period: Literal["calendar_year", "calendar_two_months", "calendar_month", "bill"]
    price_scale: PriceScale = 10_000
    on_price_change: Literal["carry", "prorate"] = "carry"
    fill: Literal["in_reading_order", "in_proportion"] = "in_reading_order"
    budget: Budget | None = None
    tiers: Annotated[list[Tier], Field(min_length=1)]
    rounding: RoundingMode
    rounding_of: Literal["running_total", "bill"]


class Household(Strict):
    """Every person above ``base_persons`` widens each ``up_to`` edge by its number of units per period.

    When the size changes within the period the usage so far is kept. With ``keep_cumulated_usage`` the new size
    holds for the whole period from then on; with ``prorate_by_days`` the widening is the mean over the days:
    days billed so far by their sizes, the days to come by the size of the reading.
    """

    base_persons: PositiveQuantity
    units_per_extra_person: Annotated[list[Quantity], Field(min_length=1)]
    extra_persons_max: PositiveQuantity
    on_change: Literal["keep_cumulated_usage", "prorate_by_days"]


class Reading(Strict):
    """Each row's usage is taken in whole steps, as meters and bills print it."""

    round_to_milli: PositiveQuantity
    rounding: RoundingMode


class UsePeriod(Strict):
    """A time of use: by the register of the meter, by the clock, or by either."""

    name: Name
    register_code: Code | None = Field(None, alias="register")
    when: Annotated[list[Window], Field(min_length=1)] | None = None


class TimeOfUse(Strict):
    """Periods of the day, week and year with prices of their own (peak, flat, valley; seasons are months).

    Windows of all periods together cover every half hour of the year exactly once, or there are none. Kinds of days
    (workday, weekend, holiday) need a calendar; a reading of a year it does not list is not priced.
    """

    calendar: Calendar | None = None
    periods: Annotated[list[UsePeriod], Field(min_length=1)]


class DemandTier(Strict):
    """Price per kW of the billed demand up to and including ``up_to`` kW."""

    up_to: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] | None = None
    price: UnitPrice


class DemandCharge(Strict):
    """A charge for the highest demand in its windows, none = at all times."""

    name: Name
    when: list[Window] = Field(default_factory=list)
    tiers: Annotated[list[DemandTier], Field(min_length=1)]


class Ratchet(Strict):
    """At least this share of the highest demand of the months before is billed."""

    months: Annotated[int, Field(strict=True, ge=1, le=12)]
    per_10000: Ratio
    rounding: RoundingMode


class Demand(Strict):
    """Demand charges: each new peak of a period is billed by its excess over the peak carried so far."""

    component: Name
    calendar: Calendar | None = None
    assessed: Literal["monthly", "daily"]
    price_scale: PriceScale = 10_000
    charges: Annotated[list[DemandCharge], Field(min_length=1)]
    ratchet: Ratchet | None = None
    rounding: RoundingMode


class FixedPrice(Strict):
    """The price for some customers."""

    only: Customers = Customers()
    price: UnitPrice


class Fixed(Strict):
    """A charge that does not depend on usage: once per bill, or per day of supply.

    The first price that admits the row holds; a row that none admits is not priced.
    """

    component: Name
    per: Literal["bill", "day"]
    price_scale: PriceScale = 10_000
    prices: Annotated[list[FixedPrice], Field(min_length=1)]
    rounding: RoundingMode


class Minimum(Strict):
    """What a bill costs at least, late fee aside; the difference is a component of its own."""

    component: Name
    only: Customers = Customers()
    per: Literal["bill"]
    amount: Fen


class LateFee(Strict):
    """Simple interest per day overdue on the amount of the bill, no more than the bill itself."""

    component: Name
    per_day_per_10000: Ratio
    at_least: Fen = 0
    at_most: Literal["principal"]
    rounding: RoundingMode


class Prepaid(Strict):
    """Purchases are turned into usage at the tiers they meet, in the order of purchase.

    The meter is loaded with whole steps of ``unit_step_milli``; what the last step leaves of the money stays in
    the amount, in the component ``remainder_to``.
    """

    unit_step_milli: PositiveQuantity
    remainder_to: Name


UtilityStep = Reading | TimeOfUse | Household | Tiers | Demand | Fixed | Minimum | LateFee | Prepaid
