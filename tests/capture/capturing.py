"""A process to kill: it captures purchases and delivers them, and says on stdout which gates it opened.

usage: python capturing.py FOLDER FIRST capture|deliver
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from capture.records import CARD, KEY, exchange, retail
from card_io.capture import CapturePoint, deliver, load_settings, wall_clock_ns
from card_io.records import Service


def main(folder: Path, first: int, what: str) -> None:
    """Capture for ever, or deliver again and again."""
    settings = load_settings(folder)
    with CapturePoint.open(folder) as point:
        say("ready")
        counter = first
        while True:
            for _ in range(5):
                number = point.intend(Service.RETAIL, CARD, retail(counter))
                say(f"debit {counter}")
                point.debited(number, {"tac": counter, "balance_after": 1}, exchange(counter))
                say(f"gate {counter}")
                counter += 1
            if what == "deliver":
                deliver(point, settings, KEY, wall_clock_ns())


def say(what: str) -> None:
    """Tell whoever watches, at once."""
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
