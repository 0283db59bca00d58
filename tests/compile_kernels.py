"""Compile the kernels of a whole day into the cache, once: workers that start cold would all compile them.

python tests/compile_kernels.py
"""

from __future__ import annotations

from clearing.kernel_cache import set_kernel_cache

set_kernel_cache()

from clearing.warm_up import warm_up  # noqa: E402 - the cache is named before a kernel is defined

if __name__ == "__main__":
    warm_up()
