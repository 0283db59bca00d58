"""One way into every delivery format: the manifest says which, the blocks look the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from card_io.delivery.columns import Decoded
from card_io.delivery.delimited import read_delimited
from card_io.delivery.errors import ManifestError
from card_io.delivery.fixed_width import read_fixed_width
from card_io.delivery.json_page import read_json_page
from card_io.delivery.manifest import PARQUET, Manifest, manifest_name
from card_io.delivery.parquet import read_parquet
from card_io.delivery.profile import Delimited, FixedWidth, SourceRules, load_profile

_PARQUET_RULES: Final = SourceRules(identity="replay", card_counter="before", balances="signed", tac="present")


def profile_of(delivery_format: str, profiles_folders: Sequence[Path] = ()) -> SourceRules:
    """What the checks must know about a manifest's format.

    Raises:
        ProfileError: the format is neither "parquet" nor a profile.
    """
    return _PARQUET_RULES if delivery_format == PARQUET else load_profile(delivery_format, profiles_folders)


def read_delivery(
    path: Path, manifest: Manifest, profiles_folders: Sequence[Path] = (), *, threads: bool = False
) -> Iterator[Decoded]:
    """Decode a data file as its manifest declares it; blocks in row order, at least one.

    Args:
        path: the data file, wherever it lies now.
        manifest: its manifest; hash and signature are the caller's to check.
        profiles_folders: searched before the packaged profiles, in this order.
        threads: let Arrow decode Parquet columns in parallel.

    Raises:
        EmptyDeliveryError, DeliveryFormatError: the file is refused as a whole.
        ProfileError: the format is unknown or its profile malformed.
        ManifestError: the profile is for another service.
    """
    if manifest.format == PARQUET:
        yield from read_parquet(path, manifest.record_service, threads=threads, name=manifest.file)
        return
    profile = load_profile(manifest.format, profiles_folders)
    if profile.service != manifest.service:
        raise ManifestError(
            manifest_name(manifest.file),
            "service",
            repr(manifest.service),
            f"format {manifest.format} carries {profile.service} rows",
        )
    if isinstance(profile.layout, Delimited):
        yield from read_delimited(path, profile, profile.layout)
    elif isinstance(profile.layout, FixedWidth):
        yield from read_fixed_width(path, profile, profile.layout)
    else:
        yield from read_json_page(path, profile, profile.layout)
