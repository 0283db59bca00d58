"""The closed set of step types: one registry per kind of tariff, one module per family.

A new step is a class of parameters with ``compile``, listed here by the key analysts write.
"""

from collections.abc import Mapping

from tariffs.medical import steps as medical
from tariffs.parameters import Strict
from tariffs.transit import discounts, fares, payers
from tariffs.transit.chunk import TransitStep
from tariffs.utility import steps as utility

TRANSIT_STEPS: Mapping[str, type[TransitStep]] = {
    "flat": fares.Flat,
    "gross": fares.Gross,
    "lookup": fares.Lookup,
    "bands": fares.Bands,
    "duration_blocks": fares.DurationBlocks,
    "max_fare": fares.MaxFare,
    "concession_lookup": discounts.ConcessionLookup,
    "concession": discounts.Concession,
    "discount": discounts.Discount,
    "factor": discounts.Factor,
    "transfer": discounts.Transfer,
    "round": discounts.Round,
    "split": payers.Split,
}
MEDICAL_STEPS: Mapping[str, type[Strict]] = {
    "prepay": medical.Prepay,
    "deductible": medical.Deductible,
    "share": medical.Share,
    "annual_cap": medical.AnnualCap,
    "waterfall": medical.Waterfall,
}
UTILITY_STEPS: Mapping[str, type[Strict]] = {
    "household": utility.Household,
    "tiers": utility.Tiers,
}
STEPS_OF_KIND: Mapping[str, Mapping[str, type[Strict]]] = {
    "transit": TRANSIT_STEPS,
    "medical": MEDICAL_STEPS,
    "utility": UTILITY_STEPS,
}
"""Kind of tariff → key in the file → parameters."""
