"""Splitting an amount into whole fen that sum to it."""

from __future__ import annotations


def largest_remainder(total: int, weights: list[int]) -> list[int]:
    """Split ``total`` fen by weights into parts that sum to it; leftover fen go to the largest remainders.

    Ties go to the earlier part; without any weight the first part takes all.
    """
    whole = sum(weights)
    if whole == 0:
        return [total if at == 0 else 0 for at in range(len(weights))]
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    for at in sorted(range(len(weights)), key=lambda i: (-remainders[i], i))[: total - sum(parts)]:
        parts[at] += 1
    return parts
