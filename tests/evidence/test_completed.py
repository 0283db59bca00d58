"""What a command left complete is not looked for again; what has been touched since is."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from clearing import engine
from clearing.calendar import seconds_of
from clearing.completed import MARK
from clearing.engine import opened, receive_centre
from clearing.recover import recover
from clearing.settlement import close_window
from clearing.verify import verify
from evidence.centres import PASSPHRASE, copy_of
from evidence.handmade import Cases, Centre

NOW = "2026-03-03T05:00:00"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A centre that took in, cleared and closed a day, and did nothing since."""
    centre = Centre.create(tmp_path_factory.mktemp("completed") / "centre")
    centre.deliver(Cases(centre).read("retail ACCEPTED\nload ACCEPTED\ntransit ACCEPTED"))
    close_window(centre.directory, datetime.date(2026, 3, 2), passphrase=PASSPHRASE, now=seconds_of(NOW))
    return centre.directory


@pytest.fixture
def recoveries(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The centres that were recovered."""
    found: list[Path] = []

    def counted(centre: engine.Centre, projection: engine.Projection) -> None:
        found.append(centre.directory)
        recover(centre, projection)

    monkeypatch.setattr(engine, "recover", counted)
    return found


def receive(centre: Path) -> None:
    receive_centre(centre, passphrase=PASSPHRASE, now=seconds_of(NOW))


def content(centre: Path) -> dict[str, bytes]:
    """All that a command may leave, but databases and what is private."""
    folders = ("archive", "journal", "outbox", "payments", "segments", "vault")
    paths = (path for folder in folders for path in (centre / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(centre)): path.read_bytes() for path in paths}


def test_after_a_command_that_ended_well_there_is_nothing_to_recover(
    closed: Path, tmp_path: Path, recoveries: list[Path]
) -> None:
    """Twice nothing; and a recovery that looks for everything finds nothing to do, either."""
    centre = copy_of(closed, tmp_path / "centre")
    receive(centre)
    assert recoveries.pop() == centre, "a copy is another centre: nothing in it is known"
    before = content(centre)
    receive(centre)
    receive(centre)
    assert recoveries == []
    (centre / MARK).unlink()
    receive(centre)
    assert recoveries == [centre]
    assert content(centre) == before == content(closed)
    assert verify(centre, PASSPHRASE) == []


def _touch(path: Path) -> None:
    """Another content of the same length and with the same times, as far as a program can set them."""
    stat = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    ("pattern", "harm"),
    [
        *(
            (f"outbox/*/*.{kind}", Path.unlink)
            for kind in ("acknowledgement.json", "receipt.json", "feedback.parquet")
        ),
        ("payments/*.proposal.csv", Path.unlink),
        ("ledger.duckdb", Path.unlink),
        ("ledger.duckdb", _touch),
        ("work/ledger.duckdb", Path.unlink),
        ("work/ledger.duckdb", _touch),
        ("centre.yaml", _touch),
        ("registers/terminals.csv", _touch),
        (str(MARK), lambda path: path.write_text("{")),
    ],
    ids=lambda each: each if isinstance(each, str) else getattr(each, "__name__", "torn"),
)
def test_whatever_was_touched_is_recovered(
    closed: Path, tmp_path: Path, recoveries: list[Path], pattern: str, harm: Callable[[Path], object]
) -> None:
    centre = copy_of(closed, tmp_path / "centre")
    receive(centre)
    recoveries.clear()
    harm(min(centre.glob(pattern)))
    # Without a receipt its feedback is written again, too; a lost one alone is not.
    lost = pattern.endswith("feedback.parquet")
    receive(centre)
    assert recoveries == [centre]
    assert (content(centre) == content(closed)) is not lost
    assert (centre / "ledger.duckdb").exists()
    recoveries.clear()
    receive(centre)
    assert recoveries == []


def test_a_segment_nobody_names_is_deleted(closed: Path, tmp_path: Path, recoveries: list[Path]) -> None:
    centre = copy_of(closed, tmp_path / "centre")
    receive(centre)
    recoveries.clear()
    foreign = centre / "segments" / "retail" / "9-0000.parquet"
    foreign.write_bytes(b"more")
    receive(centre)
    assert recoveries == [centre]
    assert not foreign.exists()


def test_a_command_that_failed_leaves_no_mark(closed: Path, tmp_path: Path, recoveries: list[Path]) -> None:
    centre = copy_of(closed, tmp_path / "centre")
    receive(centre)
    recoveries.clear()
    with pytest.raises(RuntimeError), opened(centre, PASSPHRASE, purpose="test"):
        raise RuntimeError
    assert not (centre / MARK).exists()
    receive(centre)
    assert recoveries == [centre]
