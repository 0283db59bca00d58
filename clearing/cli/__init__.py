"""``clearing``: the command line of a card centre (DESIGN §10).

Every command takes ``--json`` (one document on stdout, everything else on stderr) and exits 0 done, 1 findings or
refused, 2 usage or configuration error. One module per kind of work; each command stands beside how it shows itself.
"""

from __future__ import annotations

from typing import NoReturn

from clearing.allocator import keep_freed_memory
from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()
keep_freed_memory()

# The kernel cache must be named before any kernel is imported; the order of the modules is the order of the help.
from clearing.cli import (  # noqa: E402
    card,  # noqa: F401
    corrections,  # noqa: F401
    day,  # noqa: F401
    evidence,  # noqa: F401
    exporting,  # noqa: F401
    payments,  # noqa: F401
    people,  # noqa: F401
    publish,  # noqa: F401
    reconciling,  # noqa: F401
)
from clearing.cli.app import app, run_app  # noqa: E402


def main() -> NoReturn:
    """Entry point of the command."""
    run_app()


__all__ = ["app", "main"]
