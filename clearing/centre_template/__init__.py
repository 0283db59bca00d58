"""Files of a new centre, copied by :mod:`clearing.initialise`."""
