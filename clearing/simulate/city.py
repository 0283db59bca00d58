"""The simulated city: who offers which service, read from the centre's own settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import yaml

from card_io.records import Mode, Service
from clearing.config import Participant, Settings, load_settings
from clearing.errors import RefusedError
from clearing.simulate.fares import REMEMBERING


class Activity(IntEnum):
    """What a resident does; finer than a service."""

    METRO = 0
    BUS = 1
    BIKE = 2
    PARKING = 3
    TAXI = 4
    RETAIL = 5
    MEDICAL = 6
    UTILITY = 7
    LOAD = 8
    PICKUP = 9
    GRANT = 10
    BUS_TRANSFER = 11
    """Bus of a company whose tariff remembers the taps before."""


MODE_OF: Final = {
    Activity.METRO: Mode.METRO,
    Activity.BUS: Mode.BUS,
    Activity.BUS_TRANSFER: Mode.BUS,
    Activity.BIKE: Mode.BIKE,
    Activity.PARKING: Mode.PARKING,
    Activity.TAXI: Mode.TAXI,
}

SERVICE_OF: Final = {
    **dict.fromkeys(MODE_OF, Service.TRANSIT),
    Activity.RETAIL: Service.RETAIL,
    Activity.MEDICAL: Service.MEDICAL,
    Activity.UTILITY: Service.UTILITY,
    Activity.LOAD: Service.LOAD,
    Activity.PICKUP: Service.LOAD,
    Activity.GRANT: Service.BENEFIT,
}

OWN, KEYED, UNKEYED = 0, 1, 2
"""Issuers by their position in :attr:`City.issuers`: ours, one whose keys we hold, one without keys."""


@dataclass(frozen=True)
class Venue:
    """One merchant, operator, agent or fund offering one activity."""

    merchant: int
    sender: int
    activity: Activity
    tariff: str


@dataclass(frozen=True)
class City:
    """The settings of a centre, arranged by what residents do."""

    settings: Settings
    venues: tuple[Venue, ...]
    issuers: tuple[Participant, ...]
    insurer_region: int
    utilities: tuple[Participant, ...]

    def venues_of(self, activity: Activity) -> npt.NDArray[np.int16]:
        """Positions in ``venues``."""
        return np.array([i for i, venue in enumerate(self.venues) if venue.activity is activity], np.int16)

    @cached_property
    def merchants(self) -> npt.NDArray[np.uint32]:
        """Participant number of each venue's merchant."""
        return np.array([venue.merchant for venue in self.venues], np.uint32)

    @cached_property
    def senders(self) -> npt.NDArray[np.int64]:
        """Participant number of each venue's sender."""
        return np.array([venue.sender for venue in self.venues], np.int64)

    @cached_property
    def fund_codes(self) -> npt.NDArray[np.int64]:
        """Fund code of each venue's merchant, 0 for those that are no fund."""
        return np.array([self.settings.participant(v.merchant).fund or 0 for v in self.venues], np.int64)

    @cached_property
    def issuer_ids(self) -> npt.NDArray[np.uint64]:
        """Issuer id of each issuer."""
        return np.array([issuer.issuer_number for issuer in self.issuers], np.uint64)

    def unkeyed_venues(self) -> npt.NDArray[np.bool_]:
        """Venues whose sender may deliver rows of the issuer without keys (``clear_first``)."""
        unkeyed = self.issuers[UNKEYED].id
        allowed = {
            (agreement.sender, agreement.service)
            for agreement in self.settings.agreements.verification
            if agreement.issuer == unkeyed and agreement.allow == "clear_first"
        }
        return np.array([(v.sender, SERVICE_OF[v.activity].name.lower()) in allowed for v in self.venues], np.bool_)

    def unverified_venues(self) -> npt.NDArray[np.bool_]:
        """Venues whose sender may deliver rows of our own cards without TAC."""
        own = self.issuers[OWN].id
        allowed = {
            (agreement.sender, agreement.service)
            for agreement in self.settings.agreements.verification
            if agreement.issuer == own and agreement.allow == "unverified"
        }
        return np.array([(v.sender, SERVICE_OF[v.activity].name.lower()) in allowed for v in self.venues], np.bool_)


def read_city(directory: Path) -> City:
    """The city of a simulated centre.

    Raises:
        RefusedError: the centre is a real one, or lacks participants the city needs.
    """
    settings = load_settings(directory)
    if not settings.centre.simulated:
        raise RefusedError(
            "this centre is not simulated", where=directory, remedy="simulate into a centre made for it"
        )
    venues = tuple(_remembering(directory, venue) for p in settings.participants for venue in _venues(p, settings))
    issuers = [p for p in settings.participants if p.kind == "issuer"][:1]
    issuers += [p for p in settings.participants if p.kind == "counterparty"]
    insurers = [p for p in settings.participants if p.kind == "insurer" and p.region is not None]
    utilities = tuple(p for p in settings.participants if p.kind == "utility")
    needed = [activity for activity in Activity if activity is not Activity.BUS_TRANSFER]
    lacking = [a.name.lower() for a in needed if not any(v.activity is a for v in venues)]
    if lacking or len(issuers) < 3 or not insurers or not utilities:
        raise RefusedError(
            f"the city lacks participants ({', '.join(lacking) or 'issuers, insurer or utilities'})",
            where=directory / "centre.yaml",
            remedy="begin with the sample of `clearing init` and change names, not roles",
        )
    return City(settings, venues, tuple(issuers[:3]), insurers[0].region or 0, utilities)


def _venues(participant: Participant, settings: Settings) -> list[Venue]:
    if participant.sender is None:
        return []
    services = settings.participant(participant.sender).services
    number, sender = participant.id, participant.sender
    match participant.kind:
        case "operator" if "transit" in services:
            tariffs = participant.tariff_by_mode
            return [
                Venue(number, sender, activity, tariffs[mode])
                for activity, mode in MODE_OF.items()
                if mode in tariffs and activity is not Activity.BUS_TRANSFER
            ]
        case "hospital" if "medical" in services:
            return [Venue(number, sender, Activity.MEDICAL, "")]
        case "merchant" if "retail" in services:
            return [Venue(number, sender, Activity.RETAIL, "")]
        case "merchant" if "utility" in services:
            return [Venue(number, sender, Activity.UTILITY, "")]
        case "agent" if "load" in services:
            return [Venue(number, sender, activity, "") for activity in (Activity.LOAD, Activity.PICKUP)]
        case "fund" if "benefit" in services:
            return [Venue(number, sender, Activity.GRANT, "")]
    return []


def _remembering(directory: Path, venue: Venue) -> Venue:
    """A bus by what its tariff file says: whether it remembers."""
    if venue.activity is not Activity.BUS:
        return venue
    content = yaml.load((directory / "tariffs" / f"{venue.tariff}.yaml").read_text("utf-8"), yaml.CSafeLoader)
    remembers = any(name in REMEMBERING for step in content["steps"] for name in step)
    return replace(venue, activity=Activity.BUS_TRANSFER) if remembers else venue
