"""What a journey, a visit, a bill costs on a date, and who pays it.

A tariff is a strict YAML file (:func:`load_tariff`); on a date it compiles to frozen arrays
(:func:`compile_tariff`), and pricing is a pure function of those arrays and columns of rows.
"""

from tariffs.columns import (
    NULL,
    CardClass,
    MedicalSettlements,
    MedicalState,
    MedicalVisits,
    TransitJourneys,
    TransitPrices,
    UtilityPrices,
    UtilityState,
    UtilityUsages,
)
from tariffs.compiler import CompiledTariff
from tariffs.errors import TariffDateError, TariffError, TariffFileError, TariffKindError
from tariffs.inline_tests import InlineTestFailure, run_inline_tests
from tariffs.medical import settle_medical
from tariffs.tariff import (
    Tariff,
    TariffBook,
    compile_segment,
    compile_tariff,
    load_tariff,
    load_tariff_book,
)
from tariffs.transit import price_transit
from tariffs.utility import price_utility

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
