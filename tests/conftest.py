"""Fixtures every test may use; sets the kernel cache before any test module imports a kernel."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Data nobody on this project wrote: `CLEARING_SHARED_DATA`, or `../shared/data` of the repository."""
    named = os.environ.get("CLEARING_SHARED_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no shared data: {folder} does not exist and CLEARING_SHARED_DATA names no other folder")
    return folder
