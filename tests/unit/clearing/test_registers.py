"""Registers by validity against a plain search, and refusals that name file and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import kernels_reference as reference

from card_io.keys.signature import generate_signing_key
from clearing.config import load_settings
from clearing.errors import ConfigError
from clearing.initialise import BLACKLIST_SCHEMA, CARDS_SCHEMA, initialise_centre
from clearing.registers import STILL_LISTED, Blacklist, Validities, load_registers

Span = tuple[int, int, int, int]
"""key, value, first and last day."""


@st.composite
def disjoint_spans(draw: st.DrawFn) -> list[Span]:
    """Validities of up to four keys, ranges of one key disjoint, with and without gaps."""
    spans: list[Span] = []
    for key in draw(st.sets(st.integers(1, 6), max_size=4)):
        edges = sorted(draw(st.sets(st.integers(0, 30), max_size=8)))
        spans += [(key, draw(st.integers(0, 9)), a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    return sorted(spans, key=lambda span: (span[0], span[2]))


@given(disjoint_spans(), st.lists(st.tuples(st.integers(0, 7), st.integers(-1, 31)), min_size=1, max_size=30))
@settings(deadline=None)
def test_lookups_find_what_a_search_finds(spans: list[Span], asked: list[tuple[int, int]]) -> None:
    table = Validities(np.array(spans, np.int64).reshape(-1, 4))
    keys, days = (np.array(column) for column in zip(*asked, strict=True))
    assert table.at(keys.astype(np.uint64), days.astype(np.int32)).tolist() == reference.valid(spans, asked)


@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.integers(0, 20), st.integers(0, 30) | st.just(STILL_LISTED)), max_size=8
    ),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), min_size=1, max_size=20),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_blacklists_list_what_a_search_lists(
    entries: list[tuple[int, int, int]], asked: list[tuple[int, int]], grace: int
) -> None:
    """Several entries of a card may overlap: any of them suffices."""
    columns = list(zip(*sorted(entries), strict=True)) or [(), (), ()]
    dtypes = (np.uint64, np.int64, np.int64)
    listed = Blacklist(*(np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)))
    cards, times = (np.array(column) for column in zip(*asked, strict=True))
    expected = [
        any(card == wanted and published + grace <= time < removed for card, published, removed in entries)
        for wanted, time in asked
    ]
    assert listed.active(cards.astype(np.uint64), times.astype(np.int64), grace).tolist() == expected


# --- files --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registers") / "centre"
    initialise_centre(folder, simulated=False, passphrase="registers", scrypt_n=2)
    return folder


@pytest.fixture
def registers(centre: Path) -> Path:
    """The registers' folder with its empty files again."""
    folder = centre / "registers"
    (folder / "terminals.csv").write_text("terminal_id,merchant_id,valid_from,valid_to\n")
    (folder / "senders.csv").write_text("sender,public_key,valid_from,valid_to\n")
    pq.write_table(CARDS_SCHEMA.empty_table(), folder / "cards.parquet")
    pq.write_table(BLACKLIST_SCHEMA.empty_table(), folder / "blacklist.parquet")
    return folder


HEADER = "terminal_id,merchant_id,valid_from,valid_to\n"
KEY = generate_signing_key().verify_key.to_hex()
SENDERS_HEADER = "sender,public_key,valid_from,valid_to\n"
REFUSED = {
    ("terminals.csv", "terminal,merchant\n"): "terminal_id",
    ("terminals.csv", HEADER + "00000000000g,201,2026-01-01,2026-12-31\n"): "line 2, terminal_id: '00000000000g'",
    ("terminals.csv", HEADER + "000000000001,bus,2026-01-01,2026-12-31\n"): "line 2, merchant_id: 'bus'",
    ("terminals.csv", HEADER + "000000000001,201,2026-01-01,2026-12-31\n000000000002,201,2026-02-30,2026-12-31\n"): (
        "line 3, valid_from: '2026-02-30'"
    ),
    ("terminals.csv", HEADER + "000000000001,201,2026-01-01\n"): "line 2 has not one cell",
    ("terminals.csv", HEADER + "000000000001,201,2026-01-01,2026-12-31,9\n"): "line 2 has not one cell",
    ("terminals.csv", HEADER[:-1] + ",region\n000000000001,201,2026-01-01,2026-12-31,centre\n"): (
        "line 2, region: 'centre'"
    ),
    (
        "terminals.csv",
        HEADER + "000000000001,201,2026-01-01,2026-06-30\n000000000001,211,2026-06-30,2026-12-31\n",
    ): "key 1 has overlapping validities",
    ("senders.csv", SENDERS_HEADER + "200,abc,2026-01-01,2026-12-31\n"): "line 2, public_key: 'abc'",
    ("senders.csv", SENDERS_HEADER + f"bus,{KEY},2026-01-01,2026-12-31\n"): "line 2, sender: 'bus'",
    ("senders.csv", SENDERS_HEADER + f"200,{KEY},2026-01-01,tomorrow\n"): "line 2, valid_to: 'tomorrow'",
}


@pytest.mark.parametrize(("file", "text"), REFUSED)
def test_refusals_name_file_line_and_field(centre: Path, registers: Path, file: str, text: str) -> None:
    (registers / file).write_text(text)
    with pytest.raises(ConfigError) as refusal:
        load_registers(centre, load_settings(centre))
    assert REFUSED[file, text] in str(refusal.value)
    assert refusal.value.where.endswith(file)
    assert refusal.value.remedy


@pytest.mark.parametrize("file", ["cards.parquet", "blacklist.parquet"])
def test_a_register_without_its_columns_is_refused(centre: Path, registers: Path, file: str) -> None:
    pq.write_table(pa.table({"card": pa.array([1], pa.uint64())}), registers / file)
    with pytest.raises(ConfigError, match="column card_id is missing"):
        load_registers(centre, load_settings(centre))


def test_a_terminal_may_change_hands(centre: Path, registers: Path) -> None:
    (registers / "terminals.csv").write_text(
        HEADER + "0000000000ff,211,2026-07-01,2026-12-31\n0000000000ff,201,2026-01-01,2026-06-30\n"
    )
    terminals = load_registers(centre, load_settings(centre)).terminals
    days = np.array(["2025-12-31", "2026-01-01", "2026-06-30", "2026-07-01", "2027-01-01"], "datetime64[D]")
    found = terminals.at(np.full(5, 255, np.uint64), days.astype(np.int64).astype(np.int32))
    assert found.tolist() == [-1, 201, 201, 211, -1]


def test_an_unsorted_card_register_is_sorted(centre: Path, registers: Path) -> None:
    columns = ([9, 2**63 + 1, 9], [1, 2, 3], [100, 0, 0], [200, 50, 99])
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CARDS_SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=CARDS_SCHEMA), registers / "cards.parquet")
    cards = load_registers(centre, load_settings(centre)).cards
    keys, days = np.array([9, 9, 2**63 + 1, 9], np.uint64), np.array([50, 150, 50, 201], np.int32)
    assert cards.at(keys, days).tolist() == [3, 1, 2, -1]


def test_overlapping_card_validities_are_refused(centre: Path, registers: Path) -> None:
    columns = ([9, 9], [1, 2], [0, 50], [99, 150])
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CARDS_SCHEMA, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=CARDS_SCHEMA), registers / "cards.parquet")
    with pytest.raises(ConfigError, match="overlapping"):
        load_registers(centre, load_settings(centre))


def test_a_sender_may_have_keys_one_after_the_other(centre: Path, registers: Path) -> None:
    other = generate_signing_key().verify_key.to_hex()
    lines = [f"200,{KEY},2026-01-01,2026-06-30\n", f"200,{other},2026-07-01,2026-12-31\n"]
    (registers / "senders.csv").write_text("sender,public_key,valid_from,valid_to\n" + "".join(lines))
    senders = load_registers(centre, load_settings(centre)).senders
    assert [key.key.to_hex() for key in senders[200]] == [KEY, other]
