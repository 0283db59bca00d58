"""What a journey costs, in plain code driven by the values of the tariff files (rules §6).

Only the steps of the demo city's transit tariffs are here; another one is an error, not a guess. A journey
starts without a price; fare steps set its gross fare, discount steps lower what the card pays, ``split`` names
the fund behind a concession, and the operator bears the rest.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from auditor.times import date_of

CLASS_NAMES = ("adult", "student", "elderly", "disabled", "veteran", "staff", "half", "free", "none")
QUANTITY_MAX = 1_000_000_000
"""A fare, distance or duration above this is not priced."""

Table = dict[tuple[int, int], dict[str, int]]
"""(entry, exit) → the other columns."""


@dataclass
class Memory:
    """What one owner carries from journey to journey, by the names of the steps; and when the present one counts.

    ``carried``: the journey counts at another time than its own.
    """

    windows: dict[str, Window] = field(default_factory=dict)
    paid: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """Cap → (period, fen paid in it)."""
    now: int = 0
    carried: bool = False


@dataclass
class Window:
    """A transfer window: when it is measured from, whose it is, and how often it was used."""

    since: int
    class_name: str
    leg: tuple[Any, Any]
    """Line and mode of its last leg."""
    highest: int
    transfers: int = 0


@dataclass
class Journey:
    """A row on its way through the steps; ``gross`` None = not priced yet."""

    value: dict[str, Any]
    class_name: str
    transfer: bool
    memory: Memory
    day_starts: int
    gross: int | None = None
    fare: int = 0
    conceded: int = 0
    takes_discounts: bool = True
    fund_code: int = 0
    fund_pays: int = 0
    rule: str = ""
    caps: list[str] = field(default_factory=list)
    """Caps that count what the journey costs in the end."""

    def set_gross(self, fare: int) -> None:
        self.gross = self.fare = fare


@dataclass(frozen=True)
class Price:
    """Gross fare and who pays it: gross = card_pays + fund_pays + operator_bears."""

    gross: int
    card_pays: int
    fund_pays: int
    fund_code: int
    rule: str = ""

    @property
    def operator_bears(self) -> int:
        return self.gross - self.card_pays - self.fund_pays


@dataclass
class Tariff:
    """One tariff file with its tables."""

    content: dict[str, Any]
    tables: dict[str, Table]
    _steps_of_day: dict[int, list[tuple[str, Any]]] = field(default_factory=dict)

    @cached_property
    def remembers(self) -> bool:
        return any(name in ("transfer_window", "cap") for step in self.content["steps"] for name in step)

    @cached_property
    def day_starts(self) -> int:
        """Seconds after midnight at which the tariff's day begins."""
        hours, minutes = self.content.get("clock", {}).get("day_starts", "00:00").split(":")
        return int(hours) * 3600 + int(minutes) * 60

    def price(
        self, value: dict[str, Any], day: int, card_class: int, *, transfer: bool, memory: Memory | None = None
    ) -> Price | None:
        """The price of a transit row; None where the tariff does not cover it. ``memory`` moves on."""
        journey = Journey(value, _class_name(card_class), transfer, memory or Memory(), self.day_starts)
        for name, parameters in self._steps(day):
            STEPS[name](journey, parameters, self.tables)
        if journey.gross is None:
            return None
        for name in journey.caps:
            period, paid = journey.memory.paid[name]
            journey.memory.paid[name] = (period, paid + journey.fare)
        return Price(journey.gross, journey.fare, journey.fund_pays, journey.fund_code, journey.rule)

    def _steps(self, day: int) -> list[tuple[str, Any]]:
        """The steps in force on a day, dated values put in; none outside the published days."""
        if day not in self._steps_of_day:
            when, published = date_of(day), self.content["published"]
            steps: list[tuple[str, Any]] = []
            if published["first"] <= when <= published["last"]:
                entries = [next(iter(step.items())) for step in self.content["steps"]]
                in_force = [(name, resolved(self.content, parameters, when)) for name, parameters in entries]
                steps = [(name, parameters) for name, parameters in in_force if parameters is not None]
            self._steps_of_day[day] = steps
        return self._steps_of_day[day]


def resolved(content: dict[str, Any], node: Any, when: date) -> Any:
    """Replace each ``{use: name}`` in a node of a tariff by the newest value not after ``when``."""
    if isinstance(node, list):
        return [resolved(content, item, when) for item in node]
    if not isinstance(node, dict):
        return node
    if "use" in node:
        dated = content["values"][node["use"]]
        return dated[max(first for first in dated if first <= when)]
    return {key: resolved(content, item, when) for key, item in node.items()}


def read_tariffs(folder: Path) -> dict[str, Tariff]:
    """Every transit tariff of a folder, by id."""
    tariffs = {}
    for path in sorted(folder.glob("*.yaml")):
        content = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
        if content["kind"] == "transit":
            files = {name: folder / part["file"] for name, part in (content.get("tables") or {}).items()}
            tables = {name: _read_table(file) for name, file in files.items()}
            tariffs[content["id"]] = Tariff(content, tables)
    return tariffs


def _read_table(path: Path) -> Table:
    with path.open(encoding="utf-8", newline="") as stream:
        lines = [{name: int(text) for name, text in line.items()} for line in csv.DictReader(stream)]
    # Tables of other shapes belong to steps that no new centre uses.
    return {(line["entry"], line["exit"]): line for line in lines if {"entry", "exit"} <= line.keys()}


def _class_name(card_class: int) -> str:
    return CLASS_NAMES[card_class] if card_class < len(CLASS_NAMES) else ""


def _in_range(quantity: int | None) -> bool:
    return quantity is not None and 0 <= quantity <= QUANTITY_MAX


def _half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def divide(numerator: int, denominator: int, rounding: str) -> int:
    if rounding == "half_up":
        return _half_up(numerator, denominator)
    if rounding == "down":
        return numerator // denominator
    if rounding == "up":
        return -(-numerator // denominator)
    raise ValueError(f"rounding {rounding}: the auditor knows half_up, down and up")


def _flat(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    classes = step.get("classes")
    if journey.gross is None and (classes is None or journey.class_name in classes):
        journey.set_gross(step["fare"])


def _gross(journey: Journey, _step: dict[str, Any], _tables: dict[str, Table]) -> None:
    fare = journey.value["gross_fare"]
    if journey.gross is None and _in_range(fare):
        journey.set_gross(fare)


def _lookup(journey: Journey, step: dict[str, Any], tables: dict[str, Table]) -> None:
    table, columns = tables[step["table"]], step["columns"]
    pair = (journey.value["entry_station"], journey.value["exit_station"])
    line = table.get(pair)
    if line is None and not step["directed"]:
        line = table.get((pair[1], pair[0]))
    column = columns.get("all") or columns.get(journey.class_name)
    if journey.gross is None and line is not None and column is not None:
        journey.set_gross(line[column])


def _duration_blocks(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    seconds = journey.value["duration_s"]
    if journey.gross is not None or not _in_range(seconds):
        return
    if seconds <= step["free"]:
        journey.set_gross(0)
        return
    if step["charge_from"] == "free_end":
        seconds -= step["free"]
    cap = step.get("at_most")
    if cap is None:
        journey.set_gross(_blocks(step["blocks"], seconds))
        return
    fare = 0
    while seconds > 0:
        period = min(seconds, cap["per_started"])
        fare += min(_blocks(step["blocks"], period), cap["fare"])
        seconds -= period
    journey.set_gross(fare)


def _blocks(blocks: list[dict[str, int]], seconds: int) -> int:
    """``add`` for each started ``per_started`` of the part of the stay inside each block."""
    fare, lower = 0, 0
    for block in blocks:
        part = min(seconds, block.get("up_to", seconds)) - lower
        if part > 0:
            fare += -(-part // block["per_started"]) * block["add"]
        lower = block.get("up_to", seconds)
    return fare


def _max_fare(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    if journey.value["incomplete"] != 0:
        journey.set_gross(step["fare"])
        journey.takes_discounts = step["discounts"]


def _concession(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    term = step["classes"].get(journey.class_name)
    if term is None:
        if step["others"] == "not_covered":
            journey.gross = None
        return
    if journey.gross is None or not journey.takes_discounts:
        return
    fare = term.get("fare")
    if fare is None:
        fare = divide(journey.gross * term["per_10000"], 10_000, step["rounding"])
    journey.fare = min(fare, journey.gross)
    journey.conceded = journey.gross - journey.fare
    journey.takes_discounts = not term["final"]


def _transfer(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    if journey.transfer and journey.takes_discounts and journey.class_name in step["classes"]:
        journey.fare = min(journey.fare, max(journey.fare - step["minus"], step["floor"]))


def _transfer_window(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    """A leg of the rule's classes that follows another soon enough pays less; otherwise it opens a window."""
    if journey.gross is None or not journey.takes_discounts or journey.class_name not in step["classes"]:
        return
    if journey.fare == 0:
        return
    if step["from_legs"] != "all" or step["to_legs"] != "all" or step["extend_on_step_up"]:
        raise ValueError("the auditor knows transfer windows between all legs only")
    departure, arrival = _taps(journey)
    since, until = ({"departure": departure, "arrival": arrival}[end] for end in step["measure"].split("_to_"))
    windows, leg = journey.memory.windows, (journey.value["line"], journey.value["mode"])
    window = windows.get(step["name"])
    if window is None or not _continues(journey, step, window, until, leg):
        windows[step["name"]] = Window(since, journey.class_name, leg, journey.fare)
        return
    full = journey.fare
    journey.fare = {
        "free": lambda: 0,
        "difference": lambda: max(full - window.highest, 0),
        "minus": lambda: max(full - step["minus"], min(full, step["floor"])),
        "per_10000": lambda: divide(full * step["per_10000"], 10_000, step["rounding"]),
    }[step["pay"]]()
    journey.rule = f"transfer_window.{step['name']}"
    window.transfers += 1
    window.highest = max(window.highest, full)
    window.leg = leg
    if step["from_tap"] == "last":
        window.since = since


def _taps(journey: Journey) -> tuple[int, int]:
    """Departure and arrival; a bus has one tap, and a leg carried forward lies where it counts."""
    if journey.memory.carried:
        return journey.memory.now, journey.memory.now
    entry, exit_ = journey.value["entry_time"], journey.value["txn_time"]
    return exit_ if entry is None else entry, exit_


def _continues(journey: Journey, step: dict[str, Any], window: Window, until: int, leg: tuple[Any, Any]) -> bool:
    passed = until - window.since
    in_time = 0 <= passed <= step["window_s"] if step["inclusive"] else 0 <= passed < step["window_s"]
    limit = step["transfers_at_most"]
    left = limit == "unlimited" or window.transfers < limit
    elsewhere = {"any": True, "other_line": leg != window.leg, "other_mode": leg[1] != window.leg[1]}
    return window.class_name == journey.class_name and in_time and left and elsewhere[step["between"]]


def _cap(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    """What a day costs goes no higher than the limit of the class."""
    if journey.gross is None or not journey.takes_discounts:
        return
    if step["period"] != {"unit": "day"} or step["capping_ride"] != "remainder":
        raise ValueError("the auditor knows daily caps whose last ride pays the remainder")
    day = (journey.memory.now - journey.day_starts) // 86_400
    period, paid = journey.memory.paid.get(step["name"], (day, 0))
    paid = paid if period == day else 0
    journey.memory.paid[step["name"]] = (day, paid)
    journey.caps.append(step["name"])
    limit = step["limits"].get(journey.class_name, step["limits"].get("all"))
    if limit is not None and journey.fare > max(limit - paid, 0):
        journey.fare = max(limit - paid, 0)
        journey.rule = f"cap.{step['name']}"


def _split(journey: Journey, step: dict[str, Any], _tables: dict[str, Table]) -> None:
    """The fund's share of the concession; the odd fen goes to the larger part, a tie to the fund."""
    share = step["funds"].get(journey.class_name)
    if journey.gross is not None and share is not None:
        journey.fund_pays = _half_up(journey.conceded * share["per_10000"], 10_000)
        journey.fund_code = share["fund"] if journey.fund_pays else 0


Step = Callable[[Journey, dict[str, Any], dict[str, Table]], None]

STEPS: dict[str, Step] = {
    "flat": _flat,
    "gross": _gross,
    "lookup": _lookup,
    "duration_blocks": _duration_blocks,
    "max_fare": _max_fare,
    "concession": _concession,
    "transfer": _transfer,
    "transfer_window": _transfer_window,
    "cap": _cap,
    "split": _split,
}
