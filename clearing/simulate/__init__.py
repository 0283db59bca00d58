"""A city's days with known faults: delivery files for a simulated centre, and the truth beside it.

Computes fares, settlements and bills by its own plain code, and imports neither `tariffs` nor a clearing stage, so
that what the centre finds out can be compared with what is true.
"""

from clearing.simulate.day import SimulationSummary, simulate_day
from clearing.simulate.faults import Fault, FaultLevel

__all__ = ["Fault", "FaultLevel", "SimulationSummary", "simulate_day"]
