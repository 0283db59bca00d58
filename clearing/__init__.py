"""Files in, money out: the clearing engine of a citizen-card centre. The story is in :mod:`clearing.engine`."""

from importlib.metadata import version
from typing import Final

__version__: Final = version("citizen-card-clearing")
