"""Transit: gates (in, out), flat rides on a bus, buses with entry and exit; fares from the terminal's table.

What a journey needs to know stands on the card: the industry record (file 1A) holds the entry, the newest journey
record (file 1E) the last ride, from which a transfer is seen. A composite purchase writes both with its debit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from card_io.capture.settings import Place
from card_io.layouts.files import IndustryRecord, JourneyRecord, Region
from card_io.parameters import Fare, FareTable
from card_io.purse.application import JOURNEY_FILE, read_balance, read_binary, read_industry, read_record
from card_io.records import Mode, Service
from card_io.terminals.touch import PurseTerminal, Receipt, Touch, TurnedAway

_TAGS: Final = {Mode.METRO: "2701", Mode.BUS: "2702"}
_INSIDE, _OUTSIDE = 1, 2
_ENTRY, _EXIT, _SINGLE = 0x03, 0x04, 0x06
_RIDES: Final = frozenset({_EXIT, _SINGLE})
_TRANSFERRED: Final = "01"
_NO_SERIAL: Final = "00" * 8


@dataclass(frozen=True, slots=True)
class _Ride:
    """What is charged, and what the record says of it."""

    fare: Fare
    transfer: int
    entry: int | None
    exit_: int | None
    entry_time: int | None
    card_class: int

    @property
    def incomplete(self) -> int:
        return int((self.entry is None) != (self.exit_ is None))


class TransitTerminal:
    """A gate or a bus terminal."""

    def __init__(self, purse: PurseTerminal, place: Place) -> None:
        self.purse = purse
        self.place = place

    def enter(self, touch: Touch) -> Receipt:
        """Gate in, or boarding a bus with exit taps: writes the entry, moves nothing, is not cleared.

        Raises:
            TurnedAway: the card is inside already, or refuses. Others as :meth:`PurseTerminal.debit`.
        """
        slot = self._slot(touch)
        if slot.state == _INSIDE:
            raise TurnedAway("already_inside")
        table = self._table(touch)
        most = max((pays for row in table.card_pays for pays in row), default=0)
        entered = replace(
            slot,
            state=_INSIDE,
            entry_city=self.place.city,
            entry_institution=self.place.institution,
            entry_operator="0000",
            entry_line=f"{self.place.station >> 8:04X}",
            entry_station=self.place.station & 0xFF,
            entry_bus=f"{self.place.vehicle:016X}",
            entry_terminal=self._terminal8,
            entry_time=touch.moment7,
            maximum_fare=max(most, 0),
            direction=self.place.direction,
        )
        journey = self._journey(touch, _ENTRY, 0, transfer=0)
        columns = self._columns(_Ride(Fare(0, 0), 0, self.place.station, None, touch.now, self._class(touch)))
        return self.purse.debit(touch, Service.TRANSIT, 0, columns, cache=(entered, journey), delivered=False)

    def leave(self, touch: Touch) -> Receipt:
        """Gate out, or alighting: the fare from where the card entered; without an entry, of an incomplete journey.

        Raises:
            TurnedAway: no fare. Others as :meth:`PurseTerminal.debit`.
        """
        slot = self._slot(touch)
        inside = slot.state == _INSIDE
        entry = int(slot.entry_line, 16) << 8 | slot.entry_station if inside else None
        entry_time = _wall_seconds(slot.entry_time) if inside else None
        ride = self._ride(touch, entry, self.place.station, entry_time)
        left = replace(
            slot,
            state=_OUTSIDE,
            exit_city=self.place.city,
            exit_institution=self.place.institution,
            exit_operator="0000",
            exit_line=f"{self.place.station >> 8:04X}",
            exit_station=self.place.station & 0xFF,
            exit_bus=f"{self.place.vehicle:016X}",
            exit_terminal=self._terminal8,
            exit_time=touch.moment7,
            amount=ride.fare.card_pays,
            mileage=0,
        )
        return self._take(touch, ride, left, _EXIT)

    def ride(self, touch: Touch) -> Receipt:
        """A flat ride: one tap, one fare.

        Raises:
            As :meth:`leave`.
        """
        return self._take(touch, self._ride(touch, None, None, None), None, _SINGLE)

    def _take(self, touch: Touch, ride: _Ride, slot: IndustryRecord | None, kind: int) -> Receipt:
        journey = self._journey(touch, kind, ride.fare.card_pays, transfer=ride.transfer)
        cache = (journey,) if slot is None else (slot, journey)
        receipt = self.purse.debit(touch, Service.TRANSIT, ride.fare.card_pays, self._columns(ride), cache=cache)
        facts = {"gross": ride.fare.gross, "transfer": ride.transfer, "incomplete": ride.incomplete}
        return replace(receipt, facts=facts | {"entry": ride.entry, "exit": ride.exit_, "class": ride.card_class})

    def _ride(self, touch: Touch, entry: int | None, exit_: int | None, entry_time: int | None) -> _Ride:
        card_class = self._class(touch)
        transfer = self._transfer(touch)
        fare = self._table(touch).fare(card_class, transfer, line=self.place.line, entry=entry, exit_=exit_)
        if fare is None:
            raise TurnedAway("no_fare")
        return _Ride(fare, transfer, entry, exit_, entry_time, card_class)

    def _table(self, touch: Touch) -> FareTable:
        parameters = self.purse.parameters(touch)
        if parameters.fares is None or parameters.calendar is None:
            raise TurnedAway("not_started")
        table = parameters.fares.table(self.place.record_mode, parameters.calendar.operating_day(touch.now))
        if table is None:
            raise TurnedAway("no_fare")
        return table

    def _slot(self, touch: Touch) -> IndustryRecord:
        found = read_industry(touch.channel, _TAGS[self.place.record_mode])
        if found is None:
            raise TurnedAway("refused")
        return found[1]

    def _class(self, touch: Touch) -> int:
        """Concession class as the card says it (file 17): what the centre's register says decides later."""
        return Region.decode(read_binary(touch.channel, 0x17)).card_kind

    def _transfer(self, touch: Touch) -> int:
        """1 when the card's last ride ended on another line within the window and was no transfer itself."""
        fares = self.purse.parameters(touch).fares
        raw = read_record(touch.channel, JOURNEY_FILE, 1)
        if fares is None or fares.transfer_window_seconds is None or raw is None:
            return 0
        last = JourneyRecord.decode(raw)
        if last.is_empty or last.kind not in _RIDES or last.tail[:2] == _TRANSFERRED:
            return 0
        ended = _wall_seconds(last.time)
        near = ended is not None and 0 <= touch.now - ended <= fares.transfer_window_seconds
        elsewhere = (last.mode, int(last.line, 16)) != (self.place.record_mode, self.place.line)
        return int(near and elsewhere)

    def _journey(self, touch: Touch, kind: int, amount: int, *, transfer: int) -> JourneyRecord:
        return JourneyRecord(
            kind=kind,
            terminal=self._terminal8,
            mode=self.place.record_mode,
            line=f"{self.place.line:08X}",
            site=f"{self.place.station:06X}",
            amount=amount,
            balance=max(read_balance(touch.channel) - amount, 0),
            time=touch.moment7,
            city=self.place.city,
            institution=self.place.institution,
            tail=(_TRANSFERRED if transfer else "00") + "00" * 5,
        )

    @property
    def _terminal8(self) -> str:
        return self.purse.settings.terminal_id.upper() + "0000"

    def _columns(self, ride: _Ride) -> dict[str, int | None]:
        return {
            "mode": int(self.place.record_mode),
            "line": self.place.line,
            "entry_station": ride.entry,
            "exit_station": ride.exit_,
            "entry_time": ride.entry_time,
            "vehicle": self.place.vehicle,
            "direction": self.place.direction,
            "transfer_flag": ride.transfer,
            "incomplete": ride.incomplete,
            "card_class": ride.card_class,
            "gross_fare": ride.fare.gross,
        }


def _wall_seconds(moment7: int) -> int | None:
    """Seconds of wall time of 14 BCD digits; None for what is no moment."""
    try:
        moment = datetime.strptime(f"{moment7:014x}", "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return int((moment - datetime(1970, 1, 1)).total_seconds())
