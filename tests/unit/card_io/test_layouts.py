"""Every declared layout: its vectors, encode∘decode, columns = rows, named errors, and the page made from it."""

from __future__ import annotations

import dataclasses
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from card_io.layouts import (
    APPLICATIONS,
    FILLER,
    LAYOUTS,
    STATUS_WORDS,
    ContentError,
    Holder,
    JourneyRecord,
    Kind,
    Layout,
    LayoutError,
    LengthError,
    LogRecord,
    Outcome,
    RoutingError,
    Tlv,
    TlvError,
    TUnionApplication,
    algorithm_of,
    application,
    directory_entries,
    make_tlv,
    parse_tlv,
    read_fci,
    status_word,
)
from card_io.layouts.overseas import OpalCard
from card_io.layouts.page import layouts_page
from card_io.records import Algorithm

PAGE = Path(__file__).parents[3] / "docs" / "card-layouts.md"
VECTORS = [(layout, vector) for layout in LAYOUTS for vector in layout.VECTORS]
WHOLE_BYTES = [layout for layout in LAYOUTS if all(spec.kind is not Kind.BITS for spec in layout.FIELDS)]
FCI = bytes.fromhex("6F318408A000000632010105A5259F0801029F0C1E" + TUnionApplication.VECTORS[0].hex)


@pytest.mark.parametrize(("layout", "vector"), VECTORS, ids=lambda each: getattr(each, "NAME", ""))
def test_vectors(layout: type[Layout], vector: Any) -> None:
    decoded = layout.decode(bytes.fromhex(vector.hex))

    assert {name: getattr(decoded, name) for name in vector.values} == vector.values
    assert decoded.encode() == bytes.fromhex(vector.hex)


def test_every_layout_of_the_purse_has_a_vector() -> None:
    own = [layout for layout in LAYOUTS if layout.__module__.rsplit(".", 1)[1] in ("files", "commands")]

    assert [layout.NAME for layout in own if not layout.VECTORS] == []


def test_names_are_unique() -> None:
    assert len({layout.NAME for layout in LAYOUTS}) == len(LAYOUTS)


@given(st.data(), st.sampled_from(LAYOUTS))
def test_encode_undoes_decode(data: st.DataObject, layout: type[Layout]) -> None:
    raw = data.draw(st.binary(min_size=layout.LENGTH, max_size=layout.LENGTH))
    try:
        decoded = layout.decode(raw)
    except ContentError:
        assert any(spec.kind is Kind.TEXT for spec in layout.FIELDS)
        return

    assert decoded.encode() == raw


@given(st.data(), st.sampled_from(LAYOUTS))
def test_decode_undoes_encode(data: st.DataObject, layout: type[Layout]) -> None:
    values = {
        spec.name: data.draw(
            st.text(st.sampled_from("持卡人Lǐ 王小明1234567890X"), max_size=spec.width // 32)
            if spec.kind is Kind.TEXT
            else st.binary(min_size=spec.width // 8, max_size=spec.width // 8).map(lambda raw: raw.hex().upper())
            if spec.kind is Kind.HEX
            else st.integers(0, 2**spec.width - 1)
        )
        for spec in layout.FIELDS
    }
    record = layout(**values)

    assert layout.decode(record.encode()) == record


@given(st.data(), st.sampled_from(LAYOUTS))
def test_any_other_length_is_named(data: st.DataObject, layout: type[Layout]) -> None:
    raw = data.draw(st.binary(max_size=200).filter(lambda each: len(each) != layout.LENGTH))
    with pytest.raises(LengthError, match=rf"^{layout.NAME}: {len(raw)} bytes; this record has {layout.LENGTH}"):
        layout.decode(raw)


@given(st.data(), st.sampled_from(WHOLE_BYTES), st.integers(0, 5))
def test_columns_are_the_rows(data: st.DataObject, layout: type[Layout], count: int) -> None:
    if layout is Holder:
        return  # text has no column: its bytes stand there as they are, test_text_columns_are_bytes
    rows = [data.draw(st.binary(min_size=layout.LENGTH, max_size=layout.LENGTH)) for _ in range(count)]
    columns = layout.columns(b"".join(rows))
    decoded = [layout.decode(row) for row in rows]

    for spec in layout.FIELDS:
        expected = [getattr(each, spec.name) for each in decoded]
        column = columns[spec.name]
        found = [cell.tobytes().hex().upper() for cell in column] if spec.kind is Kind.HEX else column.tolist()
        assert found == expected, spec.name
    assert layout.dtype().itemsize == layout.LENGTH


def test_text_columns_are_bytes() -> None:
    raw = bytes.fromhex(Holder.VECTORS[0].hex)

    assert Holder.columns(raw)["holder_name"][0].tobytes() == raw[2:22]


def test_columns_want_whole_records() -> None:
    with pytest.raises(LengthError, match="log_18: 47 bytes; whole records have 23"):
        LogRecord.columns(bytes(47))


def test_a_layout_of_bits_has_no_dtype() -> None:
    with pytest.raises(TypeError, match="opal has fields of bits"):
        OpalCard.dtype()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"counter": 65536}, "log_18.counter: 65536 does not fit; give an integer of 16 bits"),
        ({"counter": -1}, "log_18.counter: -1 does not fit"),
        ({"counter": "1"}, "log_18.counter: '1' does not fit"),
        ({"terminal": "4131061707"}, "log_18.terminal: '4131061707' does not fit; give 12 upper-case"),
        ({"terminal": "41310617074g"}, "log_18.terminal"),
        ({"terminal": 5}, "log_18.terminal: 5 is no text"),
    ],
)
def test_values_that_do_not_fit_are_named(change: dict[str, Any], message: str) -> None:
    record = dataclasses.replace(LogRecord.decode(bytes(23)), **change)
    with pytest.raises(ContentError) as caught:
        record.encode()
    assert str(caught.value).startswith(message)


def test_personal_data_is_in_no_message() -> None:
    holder = Holder.decode(bytes.fromhex(Holder.VECTORS[0].hex))
    with pytest.raises(ContentError) as caught:
        dataclasses.replace(holder, holder_name="欧阳" * 9).encode()
    assert "欧阳" not in str(caught.value)
    assert "holder_16.holder_name: the value does not fit" in str(caught.value)


def test_empty_slots() -> None:
    assert LogRecord.decode(bytes(23)).is_empty
    assert LogRecord.decode(b"\xff" * 23).is_empty
    assert not LogRecord.decode(bytes.fromhex(LogRecord.VECTORS[0].hex)).is_empty
    assert JourneyRecord.decode(b"\xff" * 48).is_empty


@given(st.binary(max_size=64))
@example(FCI)
@example(bytes.fromhex("6F04840200000000"))
@example(bytes.fromhex("5F81"))
@example(bytes.fromhex("8180"))
@example(bytes.fromhex("5FFFFFFF7F00"))
def test_tlv_survives_or_is_named(data: bytes) -> None:
    named = False
    try:
        objects = parse_tlv(data)
    except TlvError as error:
        named = error.where.startswith("offset ")
    assert named or b"".join(each.encode() for each in objects) == data


@given(
    st.recursive(
        st.builds(lambda tag, value: make_tlv(tag, value=value), st.sampled_from([0x84, 0x9F0C, 0x50]), st.binary()),
        lambda inner: st.builds(
            lambda tag, children: make_tlv(tag, children=tuple(children)),
            st.sampled_from([0x6F, 0xA5, 0xBF0C, 0x61]),
            st.lists(inner, min_size=1, max_size=3),
        ),
        max_leaves=6,
    )
)
def test_tlv_that_was_made_reads_back(made: Tlv) -> None:
    assert parse_tlv(made.encode()) == (made,)


def test_a_tag_and_its_content_must_fit() -> None:
    with pytest.raises(TlvError):
        make_tlv(0x6F, value=b"\x84\x05\x00")
    with pytest.raises(TlvError):
        make_tlv(0x84, children=(FILLER,))
    with pytest.raises(TlvError):
        make_tlv(0x1F, value=b"")


def test_deep_nesting_is_refused() -> None:
    data = b""
    for _ in range(20):
        data = bytes([0x6F, len(data)]) + data
    with pytest.raises(TlvError, match="more than 16 objects inside each other"):
        parse_tlv(data)


def test_the_fci_carries_file_15() -> None:
    selected = read_fci(FCI)

    assert selected.application.aid == "A000000632010105"
    assert selected.file_15 == TUnionApplication.decode(bytes.fromhex(TUnionApplication.VECTORS[0].hex))


@given(st.binary(max_size=80))
@example(b"")
@example(FCI[:-1])
@example(bytes.fromhex("6F00"))
@example(bytes.fromhex("6F048402AABB"))
def test_a_select_answer_is_read_or_refused_by_name(answer: bytes) -> None:
    with suppress(LayoutError):  # its texts are those of the cases above; here: nothing else is raised
        read_fci(answer)
        directory_entries(answer)


def test_the_directory_lists_its_applications() -> None:
    ppse = (
        "6F49840E325041592E5359532E4444463031A537BF0C3461194F08A000000632010106500A4D4F545F545F4341534887010161174F08"
        "A00000063201010550084D4F545F545F4550870102"
    )
    found = [application(aid).en for aid in directory_entries(bytes.fromhex(ppse))]

    assert found == ["T-Union e-cash", "T-Union purse"]


@pytest.mark.parametrize(
    ("aid", "said", "algorithm"),
    [
        ("A000000632010105", 0, Algorithm.TDES),
        ("A000000632010105", 1, Algorithm.TDES),
        ("A000000632010105", 4, Algorithm.SM4),
        ("A000000632010107", None, Algorithm.SM4),
        ("A00000000386980701", None, Algorithm.TDES),
    ],
)
def test_the_algorithm_is_routed(aid: str, said: int | None, algorithm: Algorithm) -> None:
    assert algorithm_of(APPLICATIONS[aid], said) is algorithm


@pytest.mark.parametrize(
    ("aid", "said"),
    [("A000000632010105", None), ("A000000632010105", 9), ("A000000632010107", 0), ("A000000333010101", 0)],
)
def test_an_algorithm_nobody_allows_is_refused(aid: str, said: int | None) -> None:
    with pytest.raises(RoutingError, match=rf"algorithm of {aid}"):
        algorithm_of(APPLICATIONS[aid], said)


def test_the_longest_identifier_wins() -> None:
    assert application(bytes.fromhex("A0000006320101050102")).aid == "A000000632010105"
    with pytest.raises(RoutingError, match="application identifier: A00000 is in no row"):
        application(bytes.fromhex("A00000"))


@pytest.mark.parametrize(
    ("sw", "name"),
    [
        (0x9000, "OK"),
        (0x6108, "MORE_DATA"),
        (0x6C0F, "WRONG_LE"),
        (0x63C2, "PIN_WRONG"),
        (0x6300, "AUTHENTICATION_FAILED"),
        (0x9401, "INSUFFICIENT"),
        (0x9406, "NO_PROVE"),
        (0x1234, "UNKNOWN"),
    ],
)
def test_status_words(sw: int, name: str) -> None:
    assert status_word(sw).name == name


def test_every_status_word_has_a_name_of_its_own_and_somebody_acts() -> None:
    assert len({row.name for row in STATUS_WORDS.values()}) == len(STATUS_WORDS)
    assert {row.outcome for row in STATUS_WORDS.values()} == set(Outcome)
    assert all(status_word(sw).zh and status_word(sw).en for sw in range(0x10000))


def test_the_page_is_that_of_the_declarations() -> None:
    assert PAGE.read_text("utf-8") == layouts_page(), "run scripts/card-layouts"
