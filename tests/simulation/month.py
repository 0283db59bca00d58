"""A month of one simulated centre: days with heavy faults, late deliveries, holidays, a bank and people.

Every day is closed only when every check that blocks passes; what is left behind is compared with the auditor.
"""

from __future__ import annotations

import datetime
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from evidence.centres import sender_key
from published import ask

from card_io.delivery.manifest import load_manifest, write_manifest
from clearing.calendar import date_of, day_number, load_business_days, seconds_of, text_of
from clearing.config import load_settings
from clearing.engine import run_centre
from clearing.initialise import initialise_centre
from clearing.simulate import simulate_day
from simulation.adapter import CHEAP_SCRYPT, DAY_SECONDS, PASSPHRASE
from simulation.bank import Bank
from simulation.office import Office

HOUR = 3600
LATE = 0.06
"""Of the deliveries, those that come one to six days late."""


@dataclass
class Month:
    """A centre that lives through some days."""

    centre: Path
    deliveries: Path
    truth: Path
    first: datetime.date
    days: int
    rows: int
    seed: int
    reserve: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Both sides of the reserve proof after every close, by window."""

    def live(self) -> None:
        """Live through every day, and close each; every other one is cleared by its close alone."""
        office = Office(self.centre, self.seed, self.truth)
        bank = Bank(self.seed, self._accounts())
        calendar = load_business_days(self.centre)
        for number in range(self.days):
            today = day_number(self.first) + number
            midnight = today * DAY_SECONDS
            self._deliver(today)
            business = calendar.is_business_day(today)
            if business and number:
                following = [day for day in range(today + 1, today + 20) if calendar.is_business_day(day)]
                office.pay(today, midnight + 9 * HOUR, bank, following)
                office.correct(today, midnight + 14 * HOUR)
            else:
                office.carry_over(today)
            if number % 2 == 0:
                run_centre(self.centre, passphrase=PASSPHRASE, now=midnight + 19 * HOUR)
            if business and number:
                self._hear(bank, office, today, midnight + 20 * HOUR)
            office.close(today, midnight + DAY_SECONDS + 5 * HOUR)
            self._prove(today)
        for path in (self.centre / "inbox").iterdir():
            (self.deliveries / path.name).unlink(missing_ok=True)  # never sent in these days

    def _accounts(self) -> dict[str, int]:
        """The bank knows the centre's accounts from the contract."""
        return {account.number: account.source for _, account in load_settings(self.centre).bank_accounts()}

    def _deliver(self, today: int) -> None:
        """The city's day; some deliveries come days late. The auditor gets a copy of each."""
        inbox = self.centre / "inbox"
        before = {path.name for path in inbox.iterdir()}
        simulate_day(
            self.centre, date=date_of(today), transactions=self.rows, seed=self.seed, faults="heavy",
            passphrase=PASSPHRASE,
        )  # fmt: skip
        chance = random.Random(f"{self.seed} late {today}")
        fresh = [path for path in sorted(inbox.iterdir()) if path.name not in before]
        for path in fresh:
            if path.name.endswith(".manifest.json") and chance.random() < LATE:
                self._delay(path, chance.randint(1, 6))
        for path in fresh:
            shutil.copy2(path, self.deliveries / path.name)

    def _delay(self, path: Path, days: int) -> None:
        manifest = load_manifest(path)
        key = sender_key(self.centre, manifest.sender)
        if manifest.signature is None or not _signed_by_sender(manifest, key):
            return  # a fault of the simulator: it stays as it is
        sent = text_of(seconds_of(manifest.sent_at) + days * DAY_SECONDS)
        later = manifest.model_copy(update={"signature": None, "sent_at": sent})
        write_manifest(path.parent, later.with_signature(key.sign))

    def _hear(self, bank: Bank, office: Office, today: int, at: int) -> None:
        """What the bank tells in the evening; once a week it repeats itself, once it gets money nobody announced."""
        if today % 7 == 3:
            bank.stray(today)
        notice = bank.notices(today)
        if notice is not None:
            office.take(notice, at)
        statement = bank.statements(today)
        if statement is not None:
            office.take(statement, at + 600)
        if today % 7 == 4:
            for repeated in bank.again(today):
                office.take(repeated, at + 900)

    def _prove(self, window: int) -> None:
        [(owed, held)] = ask(self.centre, "SELECT owed, held FROM reserve_terms")
        self.reserve[window] = (owed, held)


def _signed_by_sender(manifest: object, key: object) -> bool:
    try:
        manifest.verify_with(key.verify_key.verify)  # type: ignore[attr-defined]
    except Exception:  # whatever is wrong with it
        return False
    return True


AGREED = {
    "advances: []": "advances: [{fund: 902, from: 2026-01-01, limit: 10000000}]",
    "release_days: 30": "release_days: 2",
    "  dispositions: {}": """  dispositions: {}
  write_offs: [{account: suspense_payable, from: 2026-01-01, after_days: 7, max_fen: 5000}]
  benefit_expiry: [{from: 2026-01-01, after_days: 7}]""",
}
"""What the sample settings leave out. No delivery is a week late, so nobody picks up what has expired."""


def _agree(settings: Path) -> None:
    text = settings.read_text("utf-8")
    for before, after in AGREED.items():
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    settings.write_text(text, "utf-8")


def begin(folder: Path, *, first: datetime.date, days: int, rows: int, seed: int) -> Month:
    """A new centre under ``folder`` before its first day."""
    centre = folder / "centre"
    initialise_centre(centre, simulated=True, passphrase=PASSPHRASE, scrypt_n=CHEAP_SCRYPT)
    _agree(centre / "centre.yaml")
    truth, deliveries = folder / "centre.truth", folder / "deliveries"
    truth.mkdir()
    deliveries.mkdir()
    return Month(centre, deliveries, truth, first, days, rows, seed)
