"""What a journey, a visit, a bill costs on a date, and who pays it.

A tariff is a strict YAML file (:func:`load_tariff`); on a date it compiles to frozen arrays
(:func:`compile_tariff`), and pricing is a pure function of those arrays and columns of rows.
"""

from tariffs.columns import NULL
from tariffs.compiler import CompiledTariff
from tariffs.errors import TariffDateError, TariffError, TariffFileError, TariffKindError, TariffStateError
from tariffs.inline_tests import InlineTestFailure, run_inline_tests
from tariffs.medical.columns import (
    FUND_FIELDS,
    MedicalLedger,
    MedicalReviews,
    MedicalRun,
    MedicalSettlements,
    MedicalState,
    MedicalVisits,
)
from tariffs.medical.dated import settle_dated
from tariffs.medical.pricing import settle_medical, settle_visits
from tariffs.medical.resettle import PaidSettlements, Resettled, resettle
from tariffs.needs import buys_usage, columns_needed, months_back, payer_fields
from tariffs.tariff import (
    Tariff,
    TariffBook,
    compile_segment,
    compile_tariff,
    load_tariff,
    load_tariff_book,
)
from tariffs.trace import RowAnswer, StepTaken, trace_steps
from tariffs.transit.columns import CardClass, TransitJourneys, TransitPrices
from tariffs.transit.late import NEVER, Posting, PriceDifferences, Repriced, Standing, reprice, standing
from tariffs.transit.parties import PartyAmounts, apportion_transit
from tariffs.transit.pricing import (
    accumulator_names,
    network_accumulators,
    price_journeys,
    price_network,
    price_transit,
)
from tariffs.transit.state import TransitState, accumulator_id
from tariffs.utility.bills import sum_bills
from tariffs.utility.columns import UtilityBills, UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.late import UtilityStanding
from tariffs.utility.late import standing as utility_standing
from tariffs.utility.pricing import price_utility
from tariffs.utility.rebill import Rebilled, rebill
from tariffs.utility.replay import (
    UtilityDifferences,
    corrected_usages,
    price_standing,
    price_utility_dated,
    reprice_utility,
)

__all__ = [
    "FUND_FIELDS",
    "NEVER",
    "NULL",
    "CardClass",
    "CompiledTariff",
    "InlineTestFailure",
    "MedicalLedger",
    "MedicalReviews",
    "MedicalRun",
    "MedicalSettlements",
    "MedicalState",
    "MedicalVisits",
    "PaidSettlements",
    "PartyAmounts",
    "Posting",
    "PriceDifferences",
    "Rebilled",
    "Repriced",
    "Resettled",
    "RowAnswer",
    "Standing",
    "StepTaken",
    "Tariff",
    "TariffBook",
    "TariffDateError",
    "TariffError",
    "TariffFileError",
    "TariffKindError",
    "TariffStateError",
    "TransitJourneys",
    "TransitPrices",
    "TransitState",
    "UtilityBills",
    "UtilityDifferences",
    "UtilityPrices",
    "UtilityStanding",
    "UtilityState",
    "UtilityUsages",
    "accumulator_id",
    "accumulator_names",
    "apportion_transit",
    "buys_usage",
    "columns_needed",
    "compile_segment",
    "compile_tariff",
    "corrected_usages",
    "load_tariff",
    "load_tariff_book",
    "months_back",
    "network_accumulators",
    "payer_fields",
    "price_journeys",
    "price_network",
    "price_standing",
    "price_transit",
    "price_utility",
    "price_utility_dated",
    "rebill",
    "reprice",
    "reprice_utility",
    "resettle",
    "run_inline_tests",
    "settle_dated",
    "settle_medical",
    "settle_visits",
    "standing",
    "sum_bills",
    "trace_steps",
    "utility_standing",
]
