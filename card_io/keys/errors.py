"""What can go wrong with keys, each with what happened and what the operator can do about it."""

from __future__ import annotations


class KeysError(Exception):
    """Base of every error of `card_io.keys`; the texts never contain key material.

    `what` says what was found, `remedy` what a person should do next.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


class SignatureError(KeysError):
    """A signature does not belong to this message under this key, or a key or signature has a wrong form."""


class SealedFileError(KeysError):
    """A sealed file is damaged, cut, rearranged, or sealed under another key."""

    def __init__(self, path: str, what: str, remedy: str) -> None:
        super().__init__(f"{path}: {what}", remedy)
        self.path = path


class KeyStoreError(KeysError):
    """The key store cannot be opened, has been altered, or does not hold the key asked for."""


class KeyBlockError(KeysError):
    """A TR-31 / X9.143 key block is malformed, not authentic, or not meant for this use."""


class ComponentError(KeysError):
    """Key components do not belong together or were mistyped."""
