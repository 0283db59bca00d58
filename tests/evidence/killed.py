"""A run of the centre that dies by SIGKILL at a chosen call: what a power cut leaves behind, made repeatable."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from clearing.calendar import seconds_of
from clearing.engine import run_centre
from clearing.ledger.journal import Journal
from clearing.store import Store
from evidence.centres import PASSPHRASE

CALLS = ("fsync", "replace", "unlink", "intake", "batch", "sql")
"""What is counted: system calls, journal entries by kind, statements of the projection."""

_FORKSERVER = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(["clearing.engine"])


@dataclass(frozen=True)
class Moment:
    """The n-th call of a kind (from 1), right before it or right after it."""

    call: str
    number: int
    after: bool

    def __str__(self) -> str:
        return f"{'after' if self.after else 'before'} {self.call} {self.number}"


def run_until(centre: Path, clocks: tuple[str, ...], moment: Moment | None) -> ForkServerProcess:
    """Start the runs in a process of their own, which dies at the moment; wait for it with ``join``."""
    process = _FORKSERVER.Process(target=_run, args=(centre, clocks, moment))
    process.start()
    return process


def count_calls(centre: Path, clocks: tuple[str, ...]) -> Counter[str]:
    """How often each kind of call happens when nobody interrupts; leaves the centre cleared."""
    queue = _FORKSERVER.SimpleQueue()
    process = _FORKSERVER.Process(target=_count, args=(centre, clocks, queue))
    process.start()
    counted: Counter[str] = queue.get()
    process.join()
    return counted


def draw(rng: random.Random, counted: Counter[str], moments: int) -> list[Moment]:
    """Random moments, every kind of call equally often: rare calls are the interesting ones."""
    kinds = [CALLS[number % len(CALLS)] for number in range(moments)]
    return [Moment(kind, rng.randint(1, counted[kind]), rng.random() < 0.5) for kind in kinds]


def _run(centre: Path, clocks: tuple[str, ...], moment: Moment | None) -> None:
    if moment is not None:
        watch(lambda call, number, after: _die_at(moment, Moment(call, number, after)))
    for clock in clocks:
        run_centre(centre, passphrase=PASSPHRASE, now=seconds_of(clock))


def _die_at(wanted: Moment, now: Moment) -> None:
    if now == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


def _count(centre: Path, clocks: tuple[str, ...], queue: Any) -> None:
    counted: Counter[str] = Counter()
    watch(lambda call, number, after: counted.update([call] * after))
    for clock in clocks:
        run_centre(centre, passphrase=PASSPHRASE, now=seconds_of(clock))
    queue.put(counted)


def watch(seen: Callable[[str, int, bool], None]) -> None:
    """Have ``seen(call, number, after)`` called around every counted call of this process."""
    counted: Counter[str] = Counter()

    def watched(function: Callable[..., Any], kind_of: Callable[..., str]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            kind = kind_of(*args)
            counted[kind] += 1
            number = counted[kind]
            seen(kind, number, False)
            result = function(*args, **kwargs)
            seen(kind, number, True)
            return result

        return call

    for name in ("fsync", "replace", "unlink"):
        setattr(os, name, watched(getattr(os, name), lambda *_, name=name: name))
    Journal.append = watched(Journal.append, lambda _, kind, *__: kind)  # type: ignore[method-assign]
    Store.run = watched(Store.run, lambda *_: "sql")  # type: ignore[method-assign]
