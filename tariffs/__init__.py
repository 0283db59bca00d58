"""What a journey, a visit, a bill costs on a date, and who pays it.

A tariff is a strict YAML file (:func:`load_tariff`); on a date it compiles to frozen arrays
(:func:`compile_tariff`), and pricing is a pure function of those arrays and columns of rows.
"""

from tariffs.columns import NULL
from tariffs.compiler import CompiledTariff
from tariffs.errors import TariffDateError, TariffError, TariffFileError, TariffKindError
from tariffs.inline_tests import InlineTestFailure, run_inline_tests
from tariffs.medical.columns import MedicalSettlements, MedicalState, MedicalVisits
from tariffs.medical.pricing import settle_medical
from tariffs.tariff import (
    Tariff,
    TariffBook,
    compile_segment,
    compile_tariff,
    load_tariff,
    load_tariff_book,
)
from tariffs.transit.columns import CardClass, TransitJourneys, TransitPrices
from tariffs.transit.pricing import price_transit
from tariffs.utility.columns import UtilityPrices, UtilityState, UtilityUsages
from tariffs.utility.pricing import price_utility

__all__ = [
    "NULL",
    "CardClass",
    "CompiledTariff",
    "InlineTestFailure",
    "MedicalSettlements",
    "MedicalState",
    "MedicalVisits",
    "Tariff",
    "TariffBook",
    "TariffDateError",
    "TariffError",
    "TariffFileError",
    "TariffKindError",
    "TransitJourneys",
    "TransitPrices",
    "UtilityPrices",
    "UtilityState",
    "UtilityUsages",
    "compile_segment",
    "compile_tariff",
    "load_tariff",
    "load_tariff_book",
    "price_transit",
    "price_utility",
    "run_inline_tests",
    "settle_medical",
]
