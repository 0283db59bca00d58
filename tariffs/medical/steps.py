"""What a medical file may say: the parts of an outpatient settlement, in the order in which they are applied.

丙, what is above a ceiling and the 先行自付 of 乙 come off first; the rest is in scope and goes to the basic fund
(deductible, share, annual cap), to the supplementary funds in the order of the file, through the monthly limit, and
what is then left is the person's (waterfall).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tariffs.parameters import Code, Fen, FundCode, PositiveQuantity, Ratio, Strict
from tariffs.rounding import RoundingMode

Period = Literal["calendar_year", "visit"]
SupplementFund = Literal["cvlserv_pay", "hifes_pay", "hifmi_pay", "hifob_pay", "maf_pay", "oth_pay"]
"""Interface fields of the funds beside the basic one."""


class Prepay(Strict):
    """先行自付: the person pays this ratio of category 乙 before anything is in scope.

    Services and materials have the ratio of drugs unless they name their own.
    """

    category_b_per_10000: Ratio
    service_per_10000: Ratio | None = None
    material_per_10000: Ratio | None = None
    rounding: RoundingMode


class RelationCell(Strict):
    """What care at a place of this relation to home costs the person, and what it does to the basic share."""

    relation: Annotated[int, Field(strict=True, ge=1)]
    self_pay_per_10000: Ratio
    """Of what would be in scope, paid first (added to preselfpay_amt)."""
    share_factor_per_10000: Ratio


class OutOfRegion(Strict):
    """异地就医: catalogue of the place of care, benefits of home; relations not listed are not covered."""

    rounding: RoundingMode
    by: Annotated[list[RelationCell], Field(min_length=1)]


class Visitors(Strict):
    """The visits a cell of a table speaks of; what is left out means any."""

    insured: Code
    person_type: Code | None = None
    level: Code | None = None
    visit_kind: Code | None = None
    relation: Code | None = None
    aid: Code | None = None


class DeductibleCell(Visitors):
    """起付线 of these visits; ``year_max`` (only per visit) is the most a person owes of it in a calendar year."""

    amount: Fen
    year_max: Fen | None = None


class Deductible(Strict):
    """What the person pays of the scope before a fund does.

    ``calendar_year``: consumed per person and year by the person's own in-scope amounts, whatever the institution;
    a visit owes what the year has not yet consumed. ``visit``: owed by every visit anew.
    ``form`` (other than ordinary only per visit): under a ``franchise`` a visit above the deductible owes none of it
    and the others all they cost; a ``reverse_franchise`` is the opposite: only visits up to it are shared.
    """

    per: Literal["person"]
    period: Period
    form: Literal["ordinary", "franchise", "reverse_franchise"] = "ordinary"
    by: Annotated[list[DeductibleCell], Field(min_length=1)]


class ShareBand(Strict):
    """Ratio the fund pays up to and including ``up_to`` fen; the last band has no end."""

    up_to: Annotated[int, Field(strict=True, ge=1, le=1_000_000_000)] | None = None
    per_10000: Ratio


class ShareCell(Visitors):
    """Ratio the fund pays above the deductible: one ratio, or bands of the amount (each band its own part)."""

    per_10000: Ratio | None = None
    bands: Annotated[list[ShareBand], Field(min_length=1)] | None = None


class Bands(Strict):
    """What the edges of share bands count."""

    period: Period
    """``calendar_year``: amounts of the year before this visit lie below it; ``visit``: each visit begins at 0."""
    counted_from: Literal["deductible", "zero"]
    """``zero``: the deductible consumed lies in the lowest bands."""


class Share(Strict):
    """报销比例 by insured type, institution level and kind of visit."""

    rounding: RoundingMode
    bands: Bands | None = None
    by: Annotated[list[ShareCell], Field(min_length=1)]


class CapCell(Visitors):
    """封顶线 of these visits: of the year, and of each visit as an amount or as a ratio of what it has in scope."""

    amount: Fen
    per_visit: Fen | None = None
    per_visit_per_10000: Ratio | None = None


class AnnualCap(Strict):
    """Most the pooled fund pays per person and calendar year; the rest falls back on the person."""

    per: Literal["person"]
    period: Literal["calendar_year"]
    by: Annotated[list[CapCell], Field(min_length=1)]


class SupplementCell(ShareCell):
    """Terms of a supplementary fund for these visits; visits without a cell get nothing from it."""

    deductible: Fen
    cap: Fen


class Supplement(Strict):
    """A further fund on what the ones before have left: 大病保险, 大额补助, 公务员补助, 医疗救助."""

    fund: SupplementFund
    per: Literal["person"]
    period: Literal["calendar_year"]
    of: Literal["in_scope", "in_scope_and_prepaid", "person_part"]
    """What counts of the bill: what is left of the scope; with the person's own share of 乙; or the person's whole
    part, out-of-list amounts included."""
    rounding: RoundingMode
    bands: Bands | None = None
    by: Annotated[list[SupplementCell], Field(min_length=1)]


class LimitTerms(Strict):
    """Limit of an income class: base + ratio of the cost above the threshold; another one in repeated months."""

    income_class: Code
    base: Fen
    threshold: Fen = 0
    per_10000: Ratio = 0
    repeated: Fen | None = None


class RepeatedMonths(Strict):
    """The limit falls when it was reached in ``months`` of the ``within_months`` − 1 months before (多数回)."""

    months: Annotated[int, Field(strict=True, ge=1, le=120)]
    within_months: Annotated[int, Field(strict=True, ge=2, le=120)]


class IncomeBand(Strict):
    """Class of monthly incomes up to and including ``up_to``; the last band has no end."""

    up_to: Fen | None = None
    income_class: Code


class IncomeClasses(Strict):
    """Derive the class from the columns ``income`` and ``income_exempt`` of the visit."""

    exempt: Code
    bands: Annotated[list[IncomeBand], Field(min_length=1)]


class Programme(Strict):
    """What the person pays of a bill under a public programme: a ratio of the cost, or what the certificate says."""

    program: FundCode
    person_pays: Literal["ratio", "certificate"]
    per_10000: Ratio | None = None


class SecondPayer(Strict):
    """Public programmes that take over part of what a bill leaves with the person, before the month is added up."""

    fund: SupplementFund
    income_class: Code
    """Its terms, never the repeated ones, limit the single bill of a programme, whatever the person's class."""
    by: Annotated[list[Programme], Field(min_length=1)]


class MonthlyLimit(Strict):
    """Most that is left of in-scope cost with a person in a month, of each bill alone and of all together.

    First every bill is limited by itself; then the second payer takes its part; then the bills of the month whose
    own part (before any of this) was at least ``counted_from`` are added up for the owner, and the fund pays what
    is above the limit on their common cost. A bill is one row: one institution's claim of the month, or one visit.
    """

    per: Literal["person", "household"]
    period: Literal["calendar_month"]
    fund: SupplementFund
    to: PositiveQuantity = 1
    """Ratios give multiples of this many fen."""
    rounding: RoundingMode
    counted_from: Fen
    repeat: RepeatedMonths | None = None
    classes: IncomeClasses | None = None
    second_payer: SecondPayer | None = None
    by: Annotated[list[LimitTerms], Field(min_length=1)]


class Waterfall(Strict):
    """Who pays the person's part, in this order; cash takes what is left and therefore stands last."""

    order: Annotated[list[Literal["account", "family", "purse", "cash"]], Field(min_length=1, max_length=4)]
    accounts_cover: Literal["person_part", "in_scope"] = "person_part"
    """``in_scope``: personal and family accounts do not pay for 丙, amounts above a ceiling or 先行自付."""


MedicalStep = Prepay | OutOfRegion | Deductible | Share | AnnualCap | Supplement | MonthlyLimit | Waterfall
