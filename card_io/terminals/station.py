"""A working terminal from its folder: settings, journal, SAM, parameters, and the service it offers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from card_io.capture.journal import Clock, wall_clock_ns
from card_io.capture.settings import SettingsError, TerminalSettings, Token, load_settings
from card_io.capture.transactions import CapturePoint
from card_io.keys.keystore import KeyStore
from card_io.keys.signature import SigningKey, VerifyKey
from card_io.parameters import Parameters, load_parameters
from card_io.sam.issuer_host import ModuleHost
from card_io.sam.keys import ModuleKeys, StoredKeys
from card_io.sam.memory import SamMemory
from card_io.sam.pkcs11 import TokenKeys
from card_io.sam.terminal_sam import TerminalSam
from card_io.terminals.load import LoadTerminal
from card_io.terminals.medical import MedicalTerminal, Show
from card_io.terminals.quotes import BillQuote, FileMedicalQuotes, QuoteFile
from card_io.terminals.touch import PurseTerminal, Receipt, Touch
from card_io.terminals.transit import TransitTerminal
from card_io.terminals.utility import UtilityTerminal

SAM_MEMORY: Final = "sam.memory"
_REFRESH_SECONDS: Final = 60

ShowBills = Callable[[BillQuote], None]

Service = Callable[[Touch], list[Receipt]]
"""What is done with each card that is touched."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator asked a terminal to do.

    Attributes:
        service: transit, medical, utility or load.
        tap: in, out or ride, for transit.
        quote: JSON file of a medical or utility quote.
        amount: fen to load, or of a medical bill to take from the purse; None = all of it.
        benefits: JSON file with the grants to write down, for load.
    """

    service: str
    tap: str = "ride"
    quote: Path | None = None
    amount: int | None = None
    benefits: Path | None = None


class Station:
    """An opened terminal; the folder is its alone until closed."""

    def __init__(self, folder: Path, passphrase: str, *, clock: Clock = wall_clock_ns) -> None:
        """Open settings, key store, journal and SAM.

        Raises:
            SettingsError, KeyStoreError, CaptureError, SamFault: what is wrong and what to do.
        """
        self.folder = folder
        self.settings = load_settings(folder)
        self._keys = keys = _module_keys(self.settings, passphrase)
        self.point = CapturePoint.open(folder, clock=clock)
        memory = SamMemory(bytes.fromhex(self.settings.terminal_id), folder / SAM_MEMORY)
        self._host = ModuleHost(keys)
        self._active = ActiveParameters(self.settings)
        self.purse = PurseTerminal(self.point, self.settings, TerminalSam(keys, memory), self._active, clock=clock)

    def close(self) -> None:
        """Let the folder go."""
        self.point.close()
        self._keys.close()

    def __enter__(self) -> Station:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parameters(self, now: int) -> Parameters:
        """The parameters active at ``now``."""
        return self._active(now)

    def service(
        self,
        wanted: Wanted,
        *,
        show: Show = lambda quote: None,
        show_bills: Callable[[BillQuote], None] = lambda q: None,
    ) -> Service:
        """What is done with each card.

        Raises:
            SettingsError: the terminal does not offer the service, or lacks what it needs.
        """
        if wanted.service not in self.settings.services:
            raise SettingsError(f"this terminal does not capture {wanted.service}", "add it to services")
        match wanted.service:
            case "transit":
                if self.settings.place is None:
                    raise SettingsError("terminal.json says no place", "give mode, line and station")
                terminal = TransitTerminal(self.purse, self.settings.place)
                taps = {"in": terminal.enter, "out": terminal.leave, "ride": terminal.ride}
                return lambda touch: [taps[wanted.tap](touch)]
            case "medical":
                cashier = MedicalTerminal(self.purse, FileMedicalQuotes(_named(wanted.quote)))
                return lambda touch: [cashier.settle(touch, from_purse=wanted.amount, show=show)]
            case "utility":
                hall = UtilityTerminal(self.purse, QuoteFile(_named(wanted.quote)))
                return lambda touch: [hall.pay(touch, show=show_bills)]
            case "load" if wanted.benefits is not None:
                desk = LoadTerminal(self.purse, self._host, QuoteFile(wanted.benefits))
                return desk.write_down
            case "load":
                amount = wanted.amount
                if amount is None:
                    raise SettingsError("a load needs an amount", "give --amount or --benefits")
                return lambda touch: [LoadTerminal(self.purse, self._host).load(touch, amount)]
            case _:
                raise SettingsError(f"no terminal for {wanted.service}", "use transit, medical, utility or load")


def _module_keys(settings: TerminalSettings, passphrase: str) -> ModuleKeys:
    """The keys of the terminal's security module: in software, or behind PKCS#11."""
    match settings.keystore, settings.token:
        case Path() as keystore, None:
            return StoredKeys(KeyStore.unlock(keystore, passphrase))
        case None, Token() as token:
            return TokenKeys(token.library, token.label, passphrase)
        case None, None:
            raise SettingsError("terminal.json names no keys", "give the SAM its keystore, or a token")
        case _:
            raise SettingsError("terminal.json names a keystore and a token", "keep the one that holds the keys")


class ActiveParameters:
    """A terminal's parameter folder, read again once a minute: what becomes active does so without a restart."""

    def __init__(self, settings: TerminalSettings) -> None:
        self._settings = settings
        self._read_at = 0
        self._found = Parameters()

    def __call__(self, now: int) -> Parameters:
        """The parameters active at ``now`` (seconds of wall time)."""
        settings = self._settings
        if settings.parameters is None or settings.centre_key is None:
            return self._found
        if not self._read_at <= now < self._read_at + _REFRESH_SECONDS:
            key = VerifyKey.from_hex(settings.centre_key.read_text("ascii").strip())
            self._found = load_parameters(settings.parameters, key, now, merchant_id=settings.merchant_id)
            self._read_at = now
        return self._found


def signing_key(settings: TerminalSettings) -> SigningKey:
    """The sender's key. Raises `SignatureError` for a malformed one, SettingsError when it cannot be read."""
    try:
        return SigningKey.from_hex(settings.signing_key.read_text("ascii").strip())
    except OSError as error:
        raise SettingsError(f"{settings.signing_key}: {error.strerror}", "put the sender's key there") from None


def _named(path: Path | None) -> Path:
    if path is None:
        raise SettingsError("no quote is named", "give --quote FILE")
    return path
