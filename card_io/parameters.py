"""What a terminal is told: priced fare tables, blacklist, key versions, calendar (DESIGN §10).

Each is a JSON document with a version, a time from which it is active and the centre's Ed25519 signature. The centre
writes them (`clearing parameters`); a terminal loads a folder of them, uses of each kind the newest active version,
and reports those it refuses. A terminal knows no tariff: every price it can ask for stands in a table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from card_io.keys.errors import SignatureError
from card_io.keys.signature import VerifyKey

NO_PRICE: Final = -1
"""A cell for which there is no price: the terminal turns the card away."""

_EPOCH: Final = datetime(1970, 1, 1)

Kind = Literal["fares", "blacklist", "blacklist-delta", "keys", "calendar"]


class ParameterError(Exception):
    """A parameter file cannot be used: names the file, what is wrong and what to do."""

    def __init__(self, file: str, what: str, remedy: str) -> None:
        super().__init__(f"{file}: {what}; {remedy}")
        self.file = file
        self.what = what
        self.remedy = remedy


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class FareTable(_Strict):
    """Every price of one tariff segment for one merchant and mode, in fen.

    A cell is (line, entry, exit, band). Lines are ``lines`` and any other; stations are ``stations`` and none (a
    missing end); bands are the ranges of ``quantity`` up to and including each of ``edges``. ``group[c][t]`` is the
    row of ``card_pays`` and ``gross`` for ``classes[c]`` and transfer flag t; :data:`NO_PRICE` = no price.
    """

    mode: int
    tariff: str
    first_day: str
    last_day: str
    classes: list[int]
    lines: list[int]
    stations: list[int]
    quantity: Literal["distance_m", "duration_s"] | None
    edges: list[int]
    group: list[list[int]]
    card_pays: list[list[int]]
    gross: list[list[int]]

    @property
    def cells(self) -> int:
        """Number of cells of each group."""
        return (len(self.lines) + 1) * (len(self.stations) + 1) ** 2 * max(len(self.edges), 1)

    def cell(self, line: int | None, entry: int | None, exit_: int | None, quantity: int | None) -> int | None:
        """Position of a cell; None for a station that is not in the table or a quantity beyond its last band."""
        ends = [self._place(entry), self._place(exit_)]
        if self.stations and None in ends:
            return None
        first, second = (end or 0 for end in ends) if self.stations else (0, 0)
        row = self.lines.index(line) if line in self.lines else len(self.lines)
        band = 0
        if self.quantity is not None:
            band = int(np.searchsorted(self.edges, -1 if quantity is None else quantity))
            if quantity is None or band == len(self.edges):
                return None
        n = len(self.stations) + 1
        return ((row * n + first) * n + second) * max(len(self.edges), 1) + band

    def fare(
        self,
        card_class: int,
        transfer: int,
        *,
        line: int | None = None,
        entry: int | None = None,
        exit_: int | None = None,
        quantity: int | None = None,
    ) -> Fare | None:
        """What the card pays; None where there is no price.

        Args:
            card_class: concession class.
            transfer: 1 = flagged as a transfer.
            line: line or route number.
            entry, exit_: station numbers, None for a missing end; ignored by a table without stations.
            quantity: metres or seconds, for a table with bands.
        """
        at = self.cell(line, entry, exit_, quantity)
        if at is None or card_class not in self.classes:
            return None
        row = self.group[self.classes.index(card_class)][transfer]
        pays = self.card_pays[row][at]
        return None if pays == NO_PRICE else Fare(gross=self.gross[row][at], card_pays=pays)

    def _place(self, station: int | None) -> int | None:
        if station is None:
            return len(self.stations)
        at = int(np.searchsorted(self.stations, station))
        return at if at < len(self.stations) and self.stations[at] == station else None


@dataclass(frozen=True, slots=True)
class Fare:
    """Full price and what the card pays of it, fen."""

    gross: int
    card_pays: int


class Fares(_Strict):
    """Content of ``fares``: the tables of one merchant; a tap within the window of an earlier one is a transfer."""

    merchant_id: int
    transfer_window_seconds: int | None
    tables: list[FareTable]

    def table(self, mode: int, day: str) -> FareTable | None:
        """The table of a mode on an operating day (YYYY-MM-DD)."""
        return next((t for t in self.tables if t.mode == mode and t.first_day <= day <= t.last_day), None)


class Blacklist(_Strict):
    """Content of ``blacklist``: card numbers, sorted."""

    cards: list[str]


class BlacklistDelta(_Strict):
    """Content of ``blacklist-delta``: what changes version ``base`` into this one."""

    base: int
    added: list[str]
    removed: list[str]


class KeySlot(_Strict):
    """One TAC key the centre holds; validity dates inclusive."""

    issuer_id: str
    load: bool
    key_version: int
    key_index: int
    algorithm: int
    valid_from: str
    valid_to: str


class Keys(_Strict):
    """Content of ``keys``: what a record's key version and index may be."""

    slots: list[KeySlot]

    def permits(
        self, issuer_id: int, *, load: bool, version: int, index: int, algorithm: int, day: str
    ) -> bool | None:
        """Whether the centre can check such a record of that day; None for an issuer of which it holds no key."""
        of_issuer = [slot for slot in self.slots if int(slot.issuer_id, 16) == issuer_id and slot.load == load]
        wanted = (version, index, algorithm)
        valid = [slot for slot in of_issuer if slot.valid_from <= day <= slot.valid_to]
        held = any((slot.key_version, slot.key_index, slot.algorithm) == wanted for slot in valid)
        return held if of_issuer else None


class CalendarDay(_Strict):
    """A day that is not what its weekday says: a holiday, or a weekend day worked for one (调休)."""

    date: str
    workday: bool


class Calendar(_Strict):
    """Content of ``calendar``: when operating days begin (seconds after midnight), and the days out of the rule."""

    day_cut_seconds: int
    days: list[CalendarDay]

    def operating_day(self, wall_seconds: int) -> str:
        """YYYY-MM-DD of a moment (seconds of wall time)."""
        return date.fromordinal((wall_seconds - self.day_cut_seconds) // 86_400 + _EPOCH.toordinal()).isoformat()

    def is_workday(self, day: date) -> bool:
        """Whether people work on ``day``."""
        named = next((each.workday for each in self.days if each.date == day.isoformat()), None)
        return day.weekday() < 5 if named is None else named


_CONTENT: Final[dict[str, type[_Strict]]] = {
    "fares": Fares,
    "blacklist": Blacklist,
    "blacklist-delta": BlacklistDelta,
    "keys": Keys,
    "calendar": Calendar,
}

_Time = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$")]


class Parameter(_Strict):
    """One signed document.

    Attributes:
        centre: number of the centre.
        kind: what it is about.
        subject: participant it is for; 0 = everybody.
        version: from 1, per (kind, subject); a delta has the version it leads to.
        published_at, active_from: wall time.
        content: by kind.
        signature: Ed25519 of the centre over :meth:`signing_bytes`, hex.
    """

    format_version: Literal[1]
    centre: int
    kind: Kind
    subject: Annotated[int, Field(ge=0)]
    version: Annotated[int, Field(ge=1)]
    published_at: _Time
    active_from: _Time
    content: dict[str, Any]
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")] | None = None

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return f"{self.kind}-{self.subject:010d}-{self.version:08d}.json"

    def signing_bytes(self) -> bytes:
        """What the signature covers: everything else; keys sorted, no spaces, UTF-8."""
        return _canonical(self.model_dump(exclude={"signature"}))

    def content_bytes(self) -> bytes:
        """Canonical bytes of the content: equal content needs no new version."""
        return _canonical(self.content)

    def signed(self, sign: Callable[[bytes], bytes]) -> Parameter:
        """A signed copy; ``sign`` maps a message to its 64-byte signature."""
        return self.model_copy(update={"signature": sign(self.signing_bytes()).hex()})

    def to_bytes(self) -> bytes:
        """The file."""
        return _canonical(self.model_dump()) + b"\n"


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_parameter(path: Path, key: VerifyKey) -> tuple[Parameter, _Strict]:
    """A parameter file and its content, the signature checked.

    Raises:
        ParameterError: malformed, wrongly named, or not signed by the centre.
    """
    try:
        parameter = Parameter.model_validate_json(path.read_bytes())
        content = _CONTENT[parameter.kind].model_validate(parameter.content)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ParameterError(path.name, f"{where}: {problem['msg']}", "fetch it from the centre again") from None
    if parameter.file_name != path.name:
        raise ParameterError(path.name, f"its content is {parameter.file_name}", "do not rename parameter files")
    try:
        key.verify(bytes.fromhex(parameter.signature or ""), parameter.signing_bytes())
    except SignatureError as error:
        raise ParameterError(path.name, error.what, "fetch it from the centre again") from None
    if isinstance(content, Fares):
        _check_tables(path.name, content)
    return parameter, content


def _check_tables(file: str, fares: Fares) -> None:
    for table in fares.tables:
        rows = [*table.card_pays, *table.gross]
        groups = {row for of_class in table.group for row in of_class}
        fits = all(len(row) == table.cells for row in rows) and len(table.card_pays) == len(table.gross)
        fits &= len(table.group) == len(table.classes) and all(len(each) == 2 for each in table.group)
        if not fits or not groups <= set(range(len(table.card_pays))):
            raise ParameterError(file, f"table of {table.tariff} lacks cells", "fetch it from the centre again")


@dataclass(slots=True)
class Parameters:
    """What is active at one moment: ``versions`` by kind, ``pending`` files not active yet, ``refused`` bad ones."""

    fares: Fares | None = None
    blacklist: frozenset[str] = frozenset()
    keys: Keys | None = None
    calendar: Calendar | None = None
    versions: dict[str, int] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    refused: list[ParameterError] = field(default_factory=list)


def load_parameters(folder: Path, key: VerifyKey, now: int, *, merchant_id: int) -> Parameters:
    """The parameters in ``folder`` that are active at ``now`` (seconds of wall time) for a merchant's terminal.

    A file that cannot be used is reported and the newest usable version stays active. Blacklist deltas apply in order
    of version from the newest active full list on; one whose base is missing waits for it as pending.
    """
    found = Parameters()
    moment = datetime.fromordinal(_EPOCH.toordinal() + now // 86_400).replace(
        hour=now % 86_400 // 3600, minute=now % 3600 // 60, second=now % 60
    )
    newest: dict[str, tuple[int, Any]] = {}
    deltas: list[tuple[Parameter, BlacklistDelta]] = []
    for path in sorted(folder.glob("*.json")):
        try:
            parameter, content = read_parameter(path, key)
        except ParameterError as error:
            found.refused.append(error)
            continue
        if parameter.subject not in (0, merchant_id):
            continue
        if parameter.active_from > moment.isoformat():
            found.pending.append(path.name)
        elif isinstance(content, BlacklistDelta):
            deltas.append((parameter, content))
        elif parameter.version > newest.get(parameter.kind, (0, None))[0]:
            newest[parameter.kind] = parameter.version, content
    for kind, (version, content) in newest.items():
        found.versions[kind] = version
        if kind == "blacklist":
            found.blacklist = frozenset(content.cards)
        else:
            setattr(found, kind, content)
    _apply_deltas(found, deltas)
    return found


def _apply_deltas(found: Parameters, deltas: Sequence[tuple[Parameter, BlacklistDelta]]) -> None:
    for parameter, delta in sorted(deltas, key=lambda each: each[0].version):
        version = found.versions.get("blacklist", 0)
        if parameter.version <= version:
            continue
        if delta.base != version:
            found.pending.append(parameter.file_name)
            continue
        found.blacklist = (found.blacklist - set(delta.removed)) | set(delta.added)
        found.versions["blacklist"] = parameter.version
