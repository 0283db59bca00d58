"""Why a delivery is refused as a whole; a single bad row is an `UnreadableRow`, never an exception."""

from __future__ import annotations


class DeliveryError(Exception):
    """Base of every error of `card_io.delivery`.

    `what` says what was found and where, `remedy` what a person should do next.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class EmptyDeliveryError(DeliveryError):
    """The data file has no bytes at all (a file of zero rows is fine)."""

    def __init__(self, file: str) -> None:
        super().__init__(f"{file}: the file is empty (0 bytes)", "send a file with a header and zero rows instead")
        self.file = file


class DeliveryFormatError(DeliveryError):
    """The data file is damaged, or its columns are not those of the service and format."""

    def __init__(self, file: str, what: str, remedy: str) -> None:
        super().__init__(f"{file}: {what}", remedy)
        self.file = file


class FieldError(DeliveryError):
    """One field of a small companion file is wrong: names the file, the field, the value and the remedy."""

    def __init__(self, file: str, field: str, value: str, remedy: str) -> None:
        super().__init__(f"{file}: {field} is {value}", remedy)
        self.file = file
        self.field = field
        self.value = value


class ManifestError(FieldError):
    """A manifest cannot be read, contradicts its name, or is not signed by its sender."""


class ProfileError(FieldError):
    """A delivery profile is unknown, malformed or leaves an engine column without a source."""


class ClassesError(FieldError):
    """A fare-class sidecar is malformed or belongs to another data file."""
