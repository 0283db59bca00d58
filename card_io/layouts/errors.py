"""What can be wrong with bytes from a card; each error says where, what was found and what to do."""

from __future__ import annotations


class LayoutError(ValueError):
    """Base of every error of `card_io.layouts`.

    `where` names the layout and field, `what` says what was found, `remedy` what a person should do next. The texts
    never contain a field that is personal data.
    """

    def __init__(self, where: str, what: str, remedy: str) -> None:
        super().__init__(f"{where}: {what}; {remedy}")
        self.where = where
        self.what = what
        self.remedy = remedy


class LengthError(LayoutError):
    """The bytes are not as many as the layout has."""


class ContentError(LayoutError):
    """A field's bytes or value have no meaning in its kind, or do not fit its width."""


class TlvError(LayoutError):
    """Tag-length-value data breaks off, nests too deep, or uses a form cards do not use (ISO 7816-4, 5.2.2)."""


class RoutingError(LayoutError):
    """No application is known under an identifier, or its algorithm cannot be told."""
