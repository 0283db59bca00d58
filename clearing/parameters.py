"""`clearing parameters DIR`: what terminals are told, signed and versioned, in ``outbox/<sender>/parameters/``.

Priced tables per merchant, the blacklist in full and as the change from the version before, key versions, calendar.
What has not changed gets no new version; nothing that was published is ever changed.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from card_io.keys.entry import TAC_KINDS, KeyKind
from card_io.keys.keystore import KeyStore
from card_io.parameters import (
    Blacklist,
    BlacklistDelta,
    Calendar,
    CalendarDay,
    Fares,
    Keys,
    KeySlot,
    Parameter,
    read_parameter,
)
from clearing.calendar import SECONDS_PER_DAY, date_of, day_number, load_business_days, text_of
from clearing.centre import Centre
from clearing.config import Participant
from clearing.durable import write_durably
from clearing.engine import declared_now, opened
from clearing.initialise import KEYSTORE
from clearing.price_tables import tables_of

EVERYBODY = 0
FOLDER = "parameters"


@dataclass
class ParameterSummary:
    """What was published: file names per sender; tariffs without a table and why; listed cards nobody has seen."""

    published: dict[str, list[str]] = field(default_factory=dict)
    unchanged: int = 0
    without_table: dict[str, str] = field(default_factory=dict)
    listed_unknown: int = 0


def publish_parameters(
    directory: Path,
    *,
    passphrase: str,
    now: int | None = None,
    active_in: int = 0,
    wait: float = 60.0,
) -> ParameterSummary:
    """Publish to every sender of terminals what has changed since the last time.

    Args:
        directory: the centre.
        passphrase: of the key store.
        now: declared clock of a simulated centre, wall seconds.
        active_in: seconds from publication until terminals use it.
        wait: seconds to wait for the centre's lock.
    """
    summary = ParameterSummary()
    with opened(directory, passphrase, wait=wait, purpose="clearing parameters") as (centre, _):
        moment = declared_now(centre, now)
        publisher = _Publisher(centre, moment, moment + active_in, summary)
        blacklist = _blacklist(centre, moment, summary)
        common: dict[str, BaseModel] = {
            "keys": _keys(KeyStore.unlock(directory / KEYSTORE, passphrase)),
            "calendar": _calendar(centre, moment),
        }
        day = date_of(moment // SECONDS_PER_DAY)
        for sender in sorted({p.sender for p in centre.settings.participants if p.sender is not None}):
            for kind, content in common.items():
                publisher.publish(sender, kind, EVERYBODY, content)
            publisher.publish_blacklist(sender, blacklist)
            for merchant in centre.settings.participants:
                if merchant.sender == sender and merchant.tariffs:
                    publisher.publish(sender, "fares", merchant.id, _fares(centre, merchant, day, summary))
    return summary


class _Publisher:
    """Numbers, signs and writes documents into one sender's folder after another."""

    def __init__(self, centre: Centre, published_at: int, active_from: int, summary: ParameterSummary) -> None:
        self._centre, self._summary = centre, summary
        self._published_at, self._active_from = text_of(published_at), text_of(active_from)

    def publish(self, sender: int, kind: str, subject: int, content: BaseModel) -> None:
        """A new version, unless the newest one says the same."""
        newest = self._newest(sender, kind, subject)
        fresh = self._parameter(kind, subject, newest.version + 1 if newest else 1, content)
        if newest is not None and newest.content_bytes() == fresh.content_bytes():
            self._summary.unchanged += 1
            return
        self._write(sender, fresh)

    def publish_blacklist(self, sender: int, content: Blacklist) -> None:
        """The full list and, behind an earlier version, what changed."""
        newest = self._newest(sender, "blacklist", EVERYBODY)
        if newest is None:
            self._write(sender, self._parameter("blacklist", EVERYBODY, 1, content))
            return
        before, after = set(newest.content["cards"]), set(content.cards)
        if before == after:
            self._summary.unchanged += 1
            return
        delta = BlacklistDelta(base=newest.version, added=sorted(after - before), removed=sorted(before - after))
        self._write(sender, self._parameter("blacklist", EVERYBODY, newest.version + 1, content))
        self._write(sender, self._parameter("blacklist-delta", EVERYBODY, newest.version + 1, delta))

    def _newest(self, sender: int, kind: str, subject: int) -> Parameter | None:
        names = sorted(self._folder(sender).glob(f"{kind}-{subject:010d}-*.json"))
        return read_parameter(names[-1], self._centre.signing.verify_key)[0] if names else None

    def _parameter(self, kind: str, subject: int, version: int, content: BaseModel) -> Parameter:
        described: dict[str, Any] = {
            "format_version": 1,
            "centre": self._centre.settings.centre.id,
            "kind": kind,
            "subject": subject,
            "version": version,
            "published_at": self._published_at,
            "active_from": self._active_from,
            "content": content.model_dump(),
        }
        return Parameter.model_validate(described).signed(self._centre.signing.sign)

    def _write(self, sender: int, parameter: Parameter) -> None:
        write_durably(self._folder(sender) / parameter.file_name, parameter.to_bytes())
        self._summary.published.setdefault(str(sender), []).append(parameter.file_name)

    def _folder(self, sender: int) -> Path:
        return self._centre.directory / "outbox" / str(sender) / FOLDER


def _fares(centre: Centre, merchant: Participant, day: datetime.date, summary: ParameterSummary) -> Fares:
    tables, without = tables_of(centre.prices, merchant.tariff_by_mode, day)
    summary.without_table |= without
    return Fares(merchant_id=merchant.id, transfer_window_seconds=merchant.transfer_window_seconds, tables=tables)


def _blacklist(centre: Centre, now: int, summary: ParameterSummary) -> Blacklist:
    """The listed cards by number; a card no delivery has ever shown is known by its id only, and is counted."""
    listed = centre.registers.blacklist.listed(now)
    texts = centre.vault.card_texts(listed)
    summary.listed_unknown = len(listed) - len(texts)
    return Blacklist(cards=sorted(texts.values()))


def _keys(store: KeyStore) -> Keys:
    slots = [
        KeySlot(
            issuer_id=each.issuer_id,
            load=each.kind is KeyKind.TAC_LOAD,
            key_version=each.key_version,
            key_index=each.key_index,
            algorithm=int(each.algorithm),
            valid_from=each.valid_from.isoformat(),
            valid_to=each.valid_to.isoformat(),
        )
        for each in store.list()
        if each.kind in TAC_KINDS
    ]
    return Keys(slots=sorted(slots, key=lambda slot: tuple(slot.model_dump().values())))


def _calendar(centre: Centre, now: int) -> Calendar:
    """Holidays and make-up days of this year and later, from the centre's own table."""
    table = load_business_days(centre.directory)
    first = day_number(date_of(now // SECONDS_PER_DAY).replace(month=1, day=1))
    listed = [(day, False) for day in table.holidays] + [(day, True) for day in table.workdays]
    days = [
        CalendarDay(date=date_of(day).isoformat(), workday=worked) for day, worked in sorted(listed) if day >= first
    ]
    return Calendar(day_cut_seconds=centre.settings.calendar.day_cut, days=days)
