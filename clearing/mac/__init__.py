"""Batch cryptography: DES circuits, block kernels, TAC verification; keys come as arrays.

Nothing here knows files or registers. Callers run `clearing.kernel_cache.set_kernel_cache`
before they import this package.
"""

from clearing.mac.blocks import decrypt_blocks, encrypt_blocks, tdes_decrypt_blocks, tdes_encrypt_blocks
from clearing.mac.machine import DEFAULT_BACKEND, Backend
from clearing.mac.tac import TacInput, TacVerdict, compute_tac, diversify_issuer_keys, verify_tac

__all__ = [
    "DEFAULT_BACKEND",
    "Backend",
    "TacInput",
    "TacVerdict",
    "compute_tac",
    "decrypt_blocks",
    "diversify_issuer_keys",
    "encrypt_blocks",
    "tdes_decrypt_blocks",
    "tdes_encrypt_blocks",
    "verify_tac",
]
