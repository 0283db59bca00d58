"""The region tree, the roll-up by it, claims between regions, and the month: every level sums to the whole."""

from __future__ import annotations

import datetime
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from clearing.config import parse_settings
from clearing.errors import ConfigError
from clearing.regions import LEVELS, load_regions
from clearing.report.documents import Writer
from clearing.report.facts import Facts, published_ledger, read_facts
from clearing.report.write import _RELATIONS
from clearing.store import Store

ALWAYS = "'2020-01-01', '2099-12-31'"
HEADER = "region,parent,level,zh,en,valid_from,valid_to\n"
CITY = "310400,,city,示例市,Sample city,2020-01-01,2099-12-31\n"
SETTINGS = parse_settings(files("clearing.centre_template").joinpath("centre.yaml").read_text("utf-8"), "template")

REFUSED = {
    "region,parent\n": "columns",
    HEADER + "310400,,province,省,Province,2020-01-01,2099-12-31\n": "line 2, level: 'province'",
    HEADER + "310400,,city,市,City,2020-02-30,2099-12-31\n": "line 2, valid_from",
    HEADER + "city,,city,市,City,2020-01-01,2099-12-31\n": "line 2, region: 'city'",
    HEADER + "310400,,city,市,City,2020-01-01\n": "line 2 has not one cell",
    HEADER + CITY + CITY: "overlap",
    HEADER + CITY + "310402,310499,county,区,District,2020-01-01,2099-12-31\n": "parent 310499",
    HEADER + CITY + "310402,310400,city,区,District,2020-01-01,2099-12-31\n": "no wider region",
    HEADER + CITY + "310402,310400,county,区,District,2019-01-01,2099-12-31\n": "no wider region",
    HEADER + CITY: "participant 301",
}


@pytest.mark.parametrize(("text", "named"), REFUSED.items(), ids=REFUSED.values())
def test_a_wrong_tree_is_refused(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "registers").mkdir()
    (tmp_path / "registers" / "regions.csv").write_text(text, "utf-8")

    with pytest.raises(ConfigError, match=named):
        load_regions(tmp_path, SETTINGS)


def test_a_parent_may_change_its_name_and_a_centre_may_have_no_tree(tmp_path: Path) -> None:
    assert load_regions(tmp_path, SETTINGS) == []
    (tmp_path / "registers").mkdir()
    renamed = (
        files("clearing.centre_template")
        .joinpath("regions.csv")
        .read_text("utf-8")
        .replace(
            CITY,
            "310400,,city,旧市,Old city,2020-01-01,2025-12-31\n"
            "310400,,city,示例市,Sample city,2026-01-01,2099-12-31\n",
        )
    )
    (tmp_path / "registers" / "regions.csv").write_text(renamed, "utf-8")

    assert [each.zh for each in load_regions(tmp_path, SETTINGS) if each.region == 310400] == ["旧市", "示例市"]


def facts_of(centre: Path, date: datetime.date) -> Facts:
    with published_ledger(centre) as store:
        return read_facts(store, centre, date, _RELATIONS)


def by_county(centre: Path, date: datetime.date) -> dict[int | None, int]:
    return {
        row["region"]: row["payable_fen"] for row in facts_of(centre, date)["regions"] if row["level"] == "county"
    }


def one(centre: Path, sql: str, date: datetime.date) -> int:
    with published_ledger(centre) as store:
        return int(store.run(sql, {"date": date})[0][0] or 0)


BATCH_PAYABLE = """SELECT SUM(p.fen)::BIGINT FROM postings p JOIN journal j ON j.sequence = p.entry
    WHERE j.kind = 'batch' AND p.kind = 'merchant_payable' AND p."window" = $date"""


def test_every_level_sums_to_what_the_journal_posted(city: Path, city_day: datetime.date) -> None:
    rows = facts_of(city, city_day)["regions"]
    levels = {row["level"]: [each for each in rows if each["level"] == row["level"]] for row in rows}

    assert tuple(levels) == LEVELS
    assert {sum(row["payable_fen"] for row in listed) for listed in levels.values()} == {
        one(city, BATCH_PAYABLE, city_day)
    }
    assert len({sum(row["rows"] for row in listed) for listed in levels.values()}) == 1
    # A county is its towns and what stands in it without one; a town is never more than its county.
    payable = {row["region"]: row["payable_fen"] for row in rows}
    assert 0 < payable[310402001] + payable[310402002] < payable[310402] < payable[310400]
    assert payable[310421101201] <= payable[310421101] == payable[310421]


def test_a_terminal_stands_elsewhere_than_its_merchant(city: Path, tmp_path: Path, city_day: datetime.date) -> None:
    centre = Path(shutil.copytree(city, tmp_path / "copy"))
    before = by_county(centre, city_day)
    fen = one(
        centre,
        """SELECT SUM(card_paid * sign)::BIGINT FROM retail
           WHERE merchant_id = 513 AND disposition = 1 AND "window" = $date""",
        city_day,
    )
    with Store(centre / "ledger.duckdb", centre) as store:
        store.run(
            """INSERT INTO terminal_regions SELECT DISTINCT terminal_id, 310403, DATE '2020-01-01', DATE '2099-12-31'
               FROM retail WHERE merchant_id = 513"""
        )
    after = by_county(centre, city_day)

    assert fen > 0
    assert after == before | {310402: before[310402] - fen, 310403: before[310403] + fen}


def test_the_home_region_pays_for_care_elsewhere(city: Path, tmp_path: Path, city_day: datetime.date) -> None:
    """One hospital moved into the neighbour city: its visits are out of region, and the payers owe what they owed."""
    centre = Path(shutil.copytree(city, tmp_path / "copy"))
    at_home = facts_of(centre, city_day)["region_claims"]
    with Store(centre / "ledger.duckdb", centre) as store:
        store.run(f"INSERT INTO regions VALUES (320500, NULL, 'city', '邻市', 'Next city', {ALWAYS})")
        store.run(f"INSERT INTO regions VALUES (320505, 320500, 'county', '虎丘区', 'Huqiu', {ALWAYS})")
        store.run("UPDATE participants SET region = 320505 WHERE participant = 302")
        store.run("UPDATE participants SET region = NULL WHERE participant = 303")
    facts = facts_of(centre, city_day)
    moved = facts["region_claims"]

    assert {row["out_of_region"] for row in at_home} == {False}
    assert {(row["care_region"], row["out_of_region"]) for row in moved} == {
        (310400, False),
        (320500, True),
        (None, None),
    }
    assert {row["home_region"] for row in moved} == {310400}
    for fund in {row["fund"] for row in at_home}:
        whole = sum(row["fen"] for row in at_home if row["fund"] == fund)
        assert sum(row["fen"] for row in moved if row["fund"] == fund) == whole
    claims = {row["participant"]: row["claim_fen"] for row in facts["fund_claims"] if row["medical_rows"]}
    assert sum(row["fen"] for row in moved) == sum(claims.values())
    proven = sum(row["rows"] for row in facts["claim_lines"] if row["fund"] == 411)
    assert sum(row["rows"] for row in moved if row["fund"] == 411) == proven
    for language, words in (("zh", ("320500 邻市", "异地")), ("en", ("320500 Next city", "out of region"))):
        shown = str(Writer(facts, language).fund_claim(411))  # type: ignore[arg-type]
        assert all(word in shown for word in words)


def test_the_month_sums_its_windows(city: Path, city_day: datetime.date) -> None:
    """Over both windows of the month: positions, fees by window, open items, and nothing else."""
    last = city_day + datetime.timedelta(days=1)
    facts = facts_of(city, last)
    single = [facts_of(city, day) for day in (city_day, last)]
    net = {(row["participant"], row["source"]): row["net_fen"] for row in facts["month_participants"]}
    for key, fen in net.items():
        assert fen == sum(r["fen"] for f in single for r in f["positions"] if (r["participant"], r["source"]) == key)
    assert sum(net.values()) == 0
    fees = sum(row["fen"] for row in facts["month_fees"])
    assert 0 < fees == sum(row["fen"] for each in single for row in each["fee_invoices"])
    made = dict(Writer(facts, "zh").documents())
    assert {row["window"] for row in facts["month_fees"]} == {city_day, last}
    assert [section.heading for section in made["month"].sections][1:] == [
        "本月净额与付款（按参与方与资金来源）",
        "未结事项账龄",
    ]
    assert made["month-fee-invoice.201"].sections[0].capitals
