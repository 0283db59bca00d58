"""Owners and years: bring the counters of a state together with the rows that move them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tariffs.columns import Days, Ints


@dataclass(frozen=True)
class Groups:
    """Distinct (owner, year) pairs of a state and a batch, sorted by both.

    ``owner`` and ``year`` int64 of shape (groups,); ``of_state`` and ``of_row`` give the group of every state
    row and batch row; ``order`` lists the batch rows by (group, sequence).
    """

    owner: Ints
    year: Ints
    of_state: Ints
    of_row: Ints
    order: Ints

    def carried(self, counter: Ints) -> Ints:
        """A counter of the state as int64 of shape (groups,), 0 for owners it did not know."""
        opening = np.zeros(len(self.owner), np.int64)
        opening[self.of_state] = counter
        return opening


def calendar_year(days: Days) -> Ints:
    """Calendar year of each day since 1970, int64."""
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970


def group_rows(state_owner: Ints, state_year: Ints, owner: Ints, year: Ints, sequence: Ints) -> Groups:
    """Group batch rows and state rows by (owner, year).

    Raises ValueError when the state holds a pair twice, or when two batch rows of one pair have the same
    sequence: their order would depend on the order of arrival.
    """
    owners = np.concatenate([state_owner, owner])
    years = np.concatenate([state_year, year])
    by_key = np.lexsort((years, owners))
    sorted_owners, sorted_years = owners[by_key], years[by_key]
    begins = np.ones(len(by_key), np.bool_)
    begins[1:] = (np.diff(sorted_owners) != 0) | (np.diff(sorted_years) != 0)
    group = np.empty(len(by_key), np.int64)
    group[by_key] = np.cumsum(begins) - 1
    of_state, of_row = group[: len(state_owner)], group[len(state_owner) :]
    if len(np.unique(of_state)) != len(of_state):
        raise ValueError("the state holds an (owner, year) twice")
    order = np.lexsort((sequence, of_row))
    same = (np.diff(of_row[order]) == 0) & (np.diff(sequence[order]) == 0)
    if same.any():
        row = int(order[1:][same][0])
        raise ValueError(f"owner {owner[row]} has the sequence {sequence[row]} twice in this batch")
    return Groups(sorted_owners[begins], sorted_years[begins], of_state, of_row, order)
