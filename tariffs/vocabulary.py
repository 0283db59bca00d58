"""The closed set of step types: one registry per kind of tariff, one module per family.

A new step is a class of parameters with ``compile``, listed here by the key analysts write.
"""

from collections.abc import Mapping

from tariffs.medical import steps as medical
from tariffs.parameters import Strict
from tariffs.transit import accumulators, bands, discounts, fares, payers, stays, zones
from tariffs.transit.apportion import Apportion
from tariffs.transit.chunk import TransitStep
from tariffs.utility import steps as utility

TRANSIT_STEPS: Mapping[str, type[TransitStep]] = {
    "flat": fares.Flat,
    "gross": fares.Gross,
    "lookup": fares.Lookup,
    "zones": zones.Zones,
    "bands": bands.Bands,
    "duration_blocks": stays.DurationBlocks,
    "timed_blocks": stays.TimedBlocks,
    "surcharge": fares.Surcharge,
    "max_fare": fares.MaxFare,
    "extension": zones.Extension,
    "concession_lookup": discounts.ConcessionLookup,
    "concession": discounts.Concession,
    "discount": discounts.Discount,
    "factor": discounts.Factor,
    "minus": discounts.Minus,
    "transfer": discounts.Transfer,
    "round": discounts.Round,
    "transfer_window": accumulators.TransferWindow,
    "pass": accumulators.Pass,
    "cumulative": accumulators.Cumulative,
    "cap": accumulators.Cap,
    "cheapest": accumulators.Cheapest,
    "rebate": accumulators.Rebate,
    "split": payers.Split,
}
MEDICAL_STEPS: Mapping[str, type[Strict]] = {
    "prepay": medical.Prepay,
    "out_of_region": medical.OutOfRegion,
    "deductible": medical.Deductible,
    "share": medical.Share,
    "annual_cap": medical.AnnualCap,
    "supplement": medical.Supplement,
    "monthly_limit": medical.MonthlyLimit,
    "waterfall": medical.Waterfall,
}
UTILITY_STEPS: Mapping[str, type[Strict]] = {
    "reading": utility.Reading,
    "time_of_use": utility.TimeOfUse,
    "household": utility.Household,
    "tiers": utility.Tiers,
    "demand": utility.Demand,
    "fixed": utility.Fixed,
    "minimum": utility.Minimum,
    "late_fee": utility.LateFee,
    "prepaid": utility.Prepaid,
}
STEPS_OF_KIND: Mapping[str, Mapping[str, type[Strict]]] = {
    "transit": {**TRANSIT_STEPS, "apportion": Apportion},
    "medical": MEDICAL_STEPS,
    "utility": UTILITY_STEPS,
}
"""Kind of tariff → key in the file → parameters."""
