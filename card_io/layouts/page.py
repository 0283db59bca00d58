"""The documentation page of every layout, from the declarations themselves (`scripts/card-layouts` writes it)."""

from __future__ import annotations

from collections.abc import Iterator

from card_io.layouts import APPLICATIONS, COMMANDS, PURSE_FILES, READ_ONLY, STATUS_WORDS
from card_io.layouts.layout import KIND_MEANING, FieldSpec, Kind, Layout

_HEAD = """# Card layouts

Written by `scripts/card-layouts` from `card_io/layouts`; a test compares. Offsets and widths are in bytes, `b` marks
bits. Proof marks: [V] checked against real cards, [2+] several independent sources, [1] one source. § is the section
of the project's card reference. Every layout keeps all information: encoding undoes decoding byte for byte, also for
filler and for odd contents of real cards. A record of another length is an error that names the layout.
"""
_SECTIONS = (
    ("Files of a purse card", PURSE_FILES),
    ("Commands and answers", COMMANDS),
    ("Read-only formats, for inspection", READ_ONLY),
)


def layouts_page() -> str:
    """The page as Markdown, one string that ends with a line break."""
    return "\n".join([_HEAD, *_kinds(), *_layouts(), *_status_words(), *_applications()]) + "\n"


def _kinds() -> Iterator[str]:
    yield "## Kinds of fields\n\n| kind | meaning |\n|---|---|"
    yield from (f"| `{kind}` | {KIND_MEANING[kind]} |" for kind in Kind)
    yield ""


def _layouts() -> Iterator[str]:
    for title, layouts in _SECTIONS:
        yield f"## {title}\n"
        for layout in layouts:
            yield from _layout(layout)


def _layout(layout: type[Layout]) -> Iterator[str]:
    yield f"### `{layout.NAME}` {layout.ZH}\n"
    summary = (layout.__doc__ or "").strip().splitlines()[0]
    order = ", one little-endian number, high bits first" if layout.BYTE_ORDER == "little" else ""
    yield f"{layout.EN}. {layout.LENGTH} bytes{order}. {summary} Source: {layout.SOURCE}\n"
    yield "| offset | width | field | kind | meaning |\n|---|---|---|---|---|"
    for spec in layout.FIELDS:
        personal = " (personal data)" if spec.personal else ""
        place = f"{_bytes(spec.offset)} | {_bytes(spec.width)}"
        yield f"| {place} | `{spec.name}` | {spec.kind} | {_cell(spec)}{personal} |"
    yield ""
    for vector in layout.VECTORS:
        values = ", ".join(f"{name}={_value(layout, name, value)}" for name, value in vector.values.items())
        yield f"`{vector.hex}` → {values} ({vector.source})\n"


def _status_words() -> Iterator[str]:
    yield "## Status words\n\n| word | name | who acts | 中文 | English |\n|---|---|---|---|---|"
    yield from (
        f"| {row.pattern} | `{row.name}` | {row.outcome} | {row.zh} | {row.en} |" for row in STATUS_WORDS.values()
    )
    yield ""


def _applications() -> Iterator[str]:
    yield "## Applications\n"
    yield "Two algorithms: the card says which in its INITIALIZE answer.\n"
    yield "| identifier | family | purse | algorithms | 中文 | English | proof |\n|---|---|---|---|---|---|---|"
    for row in APPLICATIONS.values():
        purse = row.purse.name.lower() if row.purse else "–"
        algorithms = " ".join(each.name for each in row.algorithms) or "–"
        yield f"| {row.aid} | {row.family} | {purse} | {algorithms} | {row.zh} | {row.en} | {row.proof} |"


def _bytes(width: int) -> str:
    whole, rest = divmod(width, 8)
    return f"{width}b" if rest else str(whole)


def _cell(spec: FieldSpec) -> str:
    return spec.meaning.replace("|", "\\|")


def _value(layout: type[Layout], name: str, value: int | str) -> str:
    [kind] = [spec.kind for spec in layout.FIELDS if spec.name == name]
    dated = isinstance(value, int) and kind in (Kind.DATE, Kind.TIME, Kind.MOMENT)
    return f"{value:X}" if dated else str(value)
