"""Settings: the sample is sound, and every refusal names file, key and what to do."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from clearing.config import Settings, load_settings, parse_settings
from clearing.errors import ConfigError
from clearing.status import NEVER_PAYABLE, ClearingStatus, Direction, Disposition

SAMPLE = resources.files("clearing.centre_template").joinpath("centre.yaml").read_text("utf-8")
Document = dict[str, Any]


def settings_with(change: Callable[[Document], object]) -> Settings:
    document = yaml.load(SAMPLE, yaml.CSafeLoader)
    change(document)
    return parse_settings(yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True), "centre.yaml")


def participant(document: Document, number: int) -> Document:
    return next(each for each in document["participants"] if each["id"] == number)


def policy(status: str, disposition: str) -> Callable[[Document], object]:
    return lambda d: d["policy"]["dispositions"].update({status: {"debit": disposition}})


REFUSED: dict[str, tuple[Callable[[Document], object], str]] = {
    "unknown key at the top": (lambda d: d.update(colour="red"), "colour"),
    "unknown key deep down": (lambda d: participant(d, 201).update(fees="standard"), "fees"),
    "section missing": (lambda d: d.pop("calendar"), "calendar"),
    "key missing": (lambda d: d["calendar"].pop("cut_off"), "calendar.cut_off"),
    "no time of day": (lambda d: d["calendar"].update(cut_off="25:00:00"), "calendar.cut_off"),
    "a day of 24 hours and more": (lambda d: d["calendar"].update(day_cut=86_400), "calendar.day_cut"),
    "a time as a list": (lambda d: d["calendar"].update(day_cut=[3]), "calendar.day_cut"),
    "unknown service in limits": (lambda d: d["limits"].update(taxi=1), "limits.taxi"),
    "amount in yuan": (lambda d: d["limits"].update(transit=10.5), "limits.transit"),
    "unknown kind": (lambda d: participant(d, 201).update(kind="pirate"), "kind"),
    "unknown mode": (lambda d: participant(d, 201).update(tariffs={"boat": "x"}), "boat"),
    "unknown service": (lambda d: participant(d, 200).update(services=["trade"]), "services"),
    "unknown algorithm": (lambda d: participant(d, 10).update(algorithms=["rot13"]), "algorithms"),
    "one language only": (lambda d: participant(d, 10).update(name={"zh": "发卡方"}), "name.en"),
    "participant twice": (lambda d: d["participants"].append(participant(d, 201)), "[201] are listed twice"),
    "sender of nobody": (lambda d: participant(d, 201).update(sender=77_777), "participant 201 names [77777]"),
    "acquirer of nobody": (lambda d: participant(d, 201).update(acquirer=77_777), "participant 201 names [77777]"),
    "fund of nobody": (lambda d: participant(d, 400)["funds"].update(hifp_pay=7), "participant 400 names [7]"),
    "unknown fee schedule": (lambda d: participant(d, 201).update(fee="gold"), "'gold'"),
    "issuer without id": (lambda d: participant(d, 20).pop("issuer_id"), "participant 20: an issuer needs issuer_id"),
    "tolerance of one who has no tariff": (
        lambda d: participant(d, 301).update(price_tolerance=5),
        "participant 301: price_tolerance is for operator, utility, insurer",
    ),
    "negative tolerance": (lambda d: participant(d, 201).update(price_tolerance=-1), "price_tolerance"),
    "share of nobody": (
        lambda d: d["agreements"]["fees"]["standard"]["shares"].update(mayor=1),
        "agreements.fees.standard.shares",
    ),
    "agreement with a date that does not exist": (
        lambda d: d["agreements"]["verification"][0].update(to="2026-02-30"),
        "agreements.verification.0",
    ),
    "agreement to anything": (
        lambda d: d["agreements"]["verification"][0].update(allow="everything"),
        "agreements.verification.0.allow",
    ),
    "policy for no status": (policy("TAC_FIALED", "held"), "'TAC_FIALED' is no status"),
    "policy that pays a forgery": (policy("TAC_FAILED", "accepted"), "policy.dispositions.TAC_FAILED: never payable"),
    "policy on what is fixed": (policy("DUPLICATE", "held"), "policy.dispositions.DUPLICATE: fixed"),
    "policy with an unknown disposition": (policy("TOO_OLD", "forgotten"), "policy.dispositions.TOO_OLD.debit"),
}


@pytest.mark.parametrize(("change", "named"), REFUSED.values(), ids=REFUSED)
def test_refusals_name_the_key(change: Callable[[Document], object], named: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        settings_with(change)
    assert named in refusal.value.what
    assert refusal.value.where == "centre.yaml"
    assert refusal.value.remedy


QUESTIONABLE: dict[str, tuple[Callable[[Document], object], str]] = {
    "agreement with an unknown issuer": (
        lambda d: d["agreements"]["verification"][0].update(issuer=77_777),
        "agreements.verification.0.issuer",
    ),
    "agreement of an unknown sender": (
        lambda d: d["agreements"]["verification"][0].update(sender=77_777),
        "agreements.verification.0.sender",
    ),
    "issuer id that is no hex": (lambda d: participant(d, 20).update(issuer_id="市民卡"), "issuer_id"),
    "two issuers with one id": (
        lambda d: participant(d, 20).update(issuer_id=participant(d, 10)["issuer_id"]),
        "issuer_id",
    ),
    "limit missing": (lambda d: d["limits"].pop("benefit"), "limits"),
    "negative fee": (lambda d: d["agreements"]["fees"]["standard"].update(bps=-1), "bps"),
    "negative share": (lambda d: d["agreements"]["fees"]["standard"]["shares"].update(issuer=-30), "shares"),
    "no thread": (lambda d: d["centre"].update(threads=0), "threads"),
    "fund code beyond the tariffs' range": (lambda d: participant(d, 901).update(fund=65536), "fund"),
    "two funds with one code": (lambda d: participant(d, 902).update(fund=1), "fund"),
    "two insurers of one region": (
        lambda d: d["participants"].append({**participant(d, 400), "id": 401}),
        "region",
    ),
    "valid to before valid from": (
        lambda d: participant(d, 201).update(valid_from="2026-02-01", valid_to="2026-01-01"),
        "valid_to",
    ),
}


@pytest.mark.parametrize(("change", "named"), QUESTIONABLE.values(), ids=QUESTIONABLE)
def test_what_would_fail_later_is_refused_at_once(change: Callable[[Document], object], named: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        settings_with(change)
    assert named in refusal.value.what


def test_text_that_is_no_yaml_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"(?s)not YAML.*line 2"):
        parse_settings("centre: {id: 1\nlimits: [", "centre.yaml")


def test_a_folder_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no centre\.yaml here"):
        load_settings(tmp_path)


@pytest.mark.parametrize("text", ['"03:00:00"', "03:00:00", "10800"])
def test_yaml_reads_an_unquoted_time_as_base_60(text: str) -> None:
    changed = SAMPLE.replace('day_cut: "03:00:00"', f"day_cut: {text}")
    assert parse_settings(changed, "here").calendar.day_cut == 3 * 3600


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("status", [s for s in ClearingStatus if s not in NEVER_PAYABLE and s > 1])
def test_policy_moves_one_direction_of_one_status(status: ClearingStatus, direction: Direction) -> None:
    name = direction.name.lower()
    plain = parse_settings(SAMPLE, "here")
    changed = settings_with(lambda d: d["policy"]["dispositions"].update({status.name: {name: "accepted"}}))
    assert changed.disposition(status, direction) is Disposition.ACCEPTED
    for other in ClearingStatus:
        for each in Direction:
            if (other, each) != (status, direction):
                assert changed.disposition(other, each) is plain.disposition(other, each)
