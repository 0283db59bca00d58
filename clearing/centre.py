"""One opened centre: its folder, settings, registers, keys and journal, as a run works with them."""

from __future__ import annotations

import concurrent.futures
from dataclasses import dataclass, field
from pathlib import Path

from card_io.keys.aead import KeyEncryptionKey
from card_io.keys.entry import KeyKind
from card_io.keys.keystore import KeyStore
from card_io.keys.signature import SigningKey
from clearing.archive import Archive
from clearing.calendar import HOLIDAYS, received_window
from clearing.cards import CardKeys, Vault
from clearing.checks import Context
from clearing.config import Settings, load_settings
from clearing.durable import WriteBehind
from clearing.errors import ConfigError
from clearing.ledger.journal import Journal
from clearing.posting import Chart
from clearing.pricing import PriceBook
from clearing.registers import REGISTER_FILES, Registers, load_registers
from clearing.resolve import Keys


@dataclass
class Centre:
    """Everything a stage is handed; opened under the centre's lock."""

    directory: Path
    settings: Settings
    registers: Registers
    keys: Keys
    signing: SigningKey
    archive: Archive
    vault: Vault
    journal: Journal
    prices: PriceBook
    chart: Chart
    disk: WriteBehind = field(default_factory=WriteBehind)
    """What is being written; settled before anything that depends on it."""
    disabled: frozenset[str] = frozenset()
    """Checks and templates left out; only the tests that prove each of them matters ever set this."""

    @classmethod
    def open(cls, directory: Path, passphrase: str, *, audit: bool = False) -> Centre:
        """Open the centre in ``directory``; an audit reads the whole journal, and not the vault, which it judges.

        Raises:
            ConfigError, KeyStoreError, EvidenceError, TariffFileError: what is wrong, where, and what to do.
        """
        settings = load_settings(directory)
        with concurrent.futures.ThreadPoolExecutor(1) as beside:
            registers = beside.submit(load_registers, directory, settings)
            store = KeyStore.unlock(directory / "keys" / "keystore.json", passphrase)
            journal = Journal(directory / "journal", again=not audit)
            named = [chunk["name"] for entry in journal.of_kind("batch") for chunk in entry.body["vault"]]
            chunks = [] if audit else named
            return cls(
                directory=directory,
                settings=settings,
                keys=Keys(CardKeys.from_store(store), store),
                signing=SigningKey(_secret(store, KeyKind.CENTRE_SIGNING)),
                archive=Archive(directory / "archive", KeyEncryptionKey(_secret(store, KeyKind.ARCHIVE_KEK))),
                vault=Vault(directory / "vault", KeyEncryptionKey(_secret(store, KeyKind.VAULT_KEK)), chunks),
                journal=journal,
                prices=PriceBook.load(directory, settings),
                chart=Chart.of(settings),
                registers=registers.result(),
            )

    def context(self, sender: int, received_at: int) -> Context:
        """What the ladder may look at for rows of one delivery."""
        window = int(received_window(received_at, self.settings.calendar))
        return Context(self.settings, self.registers, sender, received_at, window)

    @property
    def profile_folders(self) -> tuple[Path, ...]:
        """Where the centre's own delivery profiles lie; they go before the packaged ones."""
        return (self.directory / "profiles",)

    def configuration_files(self) -> list[Path]:
        """Every file that decides: settings, registers, tariffs, the centre's own profiles."""
        folder = self.directory
        registers = [folder / "registers" / name for name in REGISTER_FILES]
        tariffs = sorted(path for path in (folder / "tariffs").iterdir() if path.is_file())
        profiles = sorted((folder / "profiles").glob("*.yaml"))
        return [folder / "centre.yaml", *registers, *tariffs, *profiles]

    def archive_agreements(self) -> dict[str, str]:
        """Archive copies of what a close decides by: settings and the business calendar; SHA-256 by relative path."""
        files = [path for path in (self.directory / "centre.yaml", self.directory / HOLIDAYS) if path.exists()]
        return {str(path.relative_to(self.directory)): self.archive.store_config(path) for path in files}

    def archive_configuration(self) -> dict[str, str]:
        """Archive copies of everything that decides, by content; returns SHA-256 by relative path."""
        return {
            str(path.relative_to(self.directory)): self.archive.store_config(path)
            for path in self.configuration_files()
        }


def _secret(store: KeyStore, kind: KeyKind) -> bytes:
    """The newest key of a kind that is the centre's own."""
    keys = list(store.stored(kind))
    if not keys:
        raise ConfigError(
            f"the key store holds no {kind} key", where="keys/keystore.json", remedy="run: clearing init"
        )
    return max(keys, key=lambda key: key.attributes.valid_from).secret
