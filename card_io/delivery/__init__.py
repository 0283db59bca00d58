"""Delivery files: manifest, inbox, codecs (Parquet and profiles), fare-class sidecar, answers to the sender."""

from card_io.delivery.acknowledgement import DISPOSITIONS, Tally, acknowledgement, result_receipt
from card_io.delivery.classes import FareClass, FareClasses, read_classes
from card_io.delivery.columns import MAX_BLOCK_ROWS, Decoded
from card_io.delivery.errors import (
    ClassesError,
    DeliveryError,
    DeliveryFormatError,
    EmptyDeliveryError,
    ManifestError,
    ProfileError,
)
from card_io.delivery.inbox import Delivery, InboxListing, IncompleteFile, waiting_deliveries
from card_io.delivery.json_file import write_json_atomically
from card_io.delivery.manifest import Manifest, load_manifest, manifest_name, write_manifest
from card_io.delivery.parquet import parquet_schema, read_parquet, write_parquet
from card_io.delivery.profile import Profile, SourceRules, load_profile
from card_io.delivery.reader import profile_of, read_delivery
from card_io.delivery.text_columns import code_of

__all__ = [
    "DISPOSITIONS",
    "MAX_BLOCK_ROWS",
    "ClassesError",
    "Decoded",
    "Delivery",
    "DeliveryError",
    "DeliveryFormatError",
    "EmptyDeliveryError",
    "FareClass",
    "FareClasses",
    "InboxListing",
    "IncompleteFile",
    "Manifest",
    "ManifestError",
    "Profile",
    "ProfileError",
    "SourceRules",
    "Tally",
    "acknowledgement",
    "code_of",
    "load_manifest",
    "load_profile",
    "manifest_name",
    "parquet_schema",
    "profile_of",
    "read_classes",
    "read_delivery",
    "read_parquet",
    "result_receipt",
    "waiting_deliveries",
    "write_json_atomically",
    "write_manifest",
    "write_parquet",
]
