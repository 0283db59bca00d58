"""Compiled loops: what a step costs (``rows``), whose turn it is (``order``), what a card did before (``walk``).

Arrays in, arrays out. A kernel uses only what stands in its own file: numba's disk cache notices no other change.
"""
