"""From a document's content to PDF: one typst template for every typeset document. The home of typst."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import typst

_TEMPLATE: Final = Path(__file__).with_name("templates") / "document.typ"


@dataclass(frozen=True, slots=True)
class Section:
    """A headed table; columns in ``right`` are figures. ``total`` is its last line, ``capitals`` stands below it."""

    heading: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    note: str = ""
    total: Sequence[str] = ()
    capitals: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """What a typeset document says; every value is text as it is printed."""

    language: str
    title: str
    centre: str
    simulated: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    signatures: Sequence[str]
    footer: str


def pdf(document: Document) -> bytes:
    """The document as PDF; equal content gives equal bytes. CJK glyphs come from the fonts of the machine."""
    content = json.dumps(asdict(document), ensure_ascii=False)
    made = _compiler().compile(sys_inputs={"document": content})
    assert isinstance(made, bytes), "one file for all pages"
    return made


@functools.cache
def _compiler() -> typst.Compiler:
    """The compiler with the template; it looks for the machine's fonts once."""
    import typst  # A wheel of 80 MB: loaded by those who typeset, not by every run.

    return typst.Compiler(str(_TEMPLATE))
