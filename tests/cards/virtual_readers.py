"""A real PC/SC daemon with virtual readers for the test run: `scripts/virtual-readers`, one daemon per process."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from card_io.readers.pcsc import PcscContext, SlotState
from card_io.virtual_card.card import VirtualCard
from card_io.virtual_card.server import InsertedCard

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "virtual-readers"


class VirtualReaders:
    """Readers by slot number, and the daemon that can be killed and started again."""

    def __init__(self, folder: Path, slots: int) -> None:
        self.folder = folder
        self.slots = slots

    def start(self) -> None:
        self._run("start", str(self.folder), str(self.slots))

    def stop(self) -> None:
        self._run("stop", str(self.folder))

    def kill(self) -> None:
        """As a crash would end it."""
        self._run("kill", str(self.folder))

    def runs(self) -> bool:
        return subprocess.run([SCRIPT, "status", self.folder], capture_output=True, check=False).returncode == 0

    @property
    def daemon(self) -> int:
        return int((self.folder / "pcscd.pid").read_text())

    @property
    def names(self) -> list[str]:
        return [line.partition(" ")[2] for line in (self.folder / "readers").read_text().splitlines()]

    def name(self, slot: int) -> str:
        return self.names[slot]

    def insert(self, card: VirtualCard, slot: int = 0) -> InsertedCard:
        """Put a card into an empty slot, and wait until the daemon sees it.

        Once in some hundred insertions on a busy machine the daemon did not see the card for seconds: then the card
        is taken out and put in again, as a cardholder would.
        """
        port = int((self.folder / "readers").read_text().splitlines()[slot].split()[0])
        for _ in range(3):
            assert self.sees(slot, present=False, seconds=20), f"the daemon still sees a card in slot {slot}"
            inserted = InsertedCard(card, port, daemon=self.daemon)
            if self.sees(slot, present=True, seconds=4):
                return inserted
            inserted.remove()
        raise AssertionError(f"the daemon does not see a card in slot {slot}")

    def sees(self, slot: int, *, present: bool, seconds: float) -> bool:
        """Whether the daemon, which looks every 0.4 s, comes to see a card in the slot, or none."""
        context = PcscContext()
        known = {self.name(slot): SlotState()}
        deadline = time.monotonic() + seconds
        try:
            while (known := context.wait(known, 1))[self.name(slot)].present != present:
                if time.monotonic() > deadline:
                    return False
            return True
        finally:
            context.close()

    def _run(self, *arguments: str) -> None:
        done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def socket_of(folder: Path) -> None:
    """Point libpcsclite at the daemon of `folder`; it looks once, so before the first context of the process."""
    os.environ["PCSCLITE_CSOCK_NAME"] = str(folder / "run" / "pcscd.comm")
