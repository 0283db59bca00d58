"""What lies in an inbox folder: complete deliveries to take, and files that must not be read yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from card_io.delivery.manifest import CLASSES_SUFFIX, MANIFEST_SUFFIX, manifest_name

_UNFINISHED_SUFFIXES: Final = (".part", ".tmp")


@dataclass(frozen=True, slots=True)
class Delivery:
    """The files of one delivery.

    Complete means here that the manifest has arrived; whether the bytes are those it was signed for is seen
    when they are hashed.
    """

    data: Path
    manifest: Path
    classes: Path | None


@dataclass(frozen=True, slots=True)
class IncompleteFile:
    """A file that waits for something, and for what."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class InboxListing:
    """Everything in an inbox folder, both parts in name order."""

    deliveries: list[Delivery]
    incomplete: list[IncompleteFile]


def waiting_deliveries(folder: Path) -> InboxListing:
    """List an inbox without opening any file in it.

    A data file is a delivery once ``<file>.manifest.json`` stands beside it; ``<file>.classes.csv`` goes with
    it. Dot files, ``*.part`` and ``*.tmp`` are still being written; links and folders are never followed.
    """
    incomplete: list[IncompleteFile] = []
    plain: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if reason := _untouchable(path):
            incomplete.append(IncompleteFile(path, reason))
        else:
            plain[path.name] = path
    deliveries: list[Delivery] = []
    for name, path in plain.items():
        # A manifest decides first: a data file may itself end like a companion.
        if manifest := plain.get(manifest_name(name)):
            deliveries.append(Delivery(path, manifest, plain.get(name + CLASSES_SUFFIX)))
        elif reason := _lacking(name, plain):
            incomplete.append(IncompleteFile(path, reason))
    return InboxListing(deliveries, sorted(incomplete, key=lambda file: file.path))


def _untouchable(path: Path) -> str | None:
    if path.name.startswith(".") or path.name.endswith(_UNFINISHED_SUFFIXES):
        return "still being written: the sender renames it when it is complete"
    if path.is_symlink() or not path.is_file():
        return "not a plain file"
    return None


def _lacking(name: str, plain: dict[str, Path]) -> str | None:
    for suffix, what in ((MANIFEST_SUFFIX, "manifest"), (CLASSES_SUFFIX, "fare-class sidecar")):
        if name.endswith(suffix):
            owner = name.removesuffix(suffix)
            return None if owner in plain else f"{what} without its data file {owner}"
    return f"data without its manifest {manifest_name(name)}"
