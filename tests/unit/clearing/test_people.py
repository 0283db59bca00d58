"""People act with roles and keys of their own: who may sign, when, and never twice."""

from __future__ import annotations

import datetime
from importlib import resources
from pathlib import Path

import pytest

from card_io.keys.signature import SigningKey, generate_signing_key
from clearing.config import Settings, load_settings, parse_settings
from clearing.errors import ConfigError, RefusedError
from clearing.initialise import initialise_centre, people_folder
from clearing.people import Signature, check_signature, digest_of, load_key, require_another, sign, write_key

SAMPLE = resources.files("clearing.centre_template").joinpath("centre.yaml").read_text("utf-8")
KEYS = {name: SigningKey(bytes([number]) * 32) for number, name in enumerate(("wang", "li"), 1)}
DAY = datetime.date(2026, 3, 2)
DIGEST = digest_of({"payments": ["20260302-201-0"]})


def settings(wang: str = "roles: [approver]") -> Settings:
    people = [
        f"{{id: wang, name: 王芳, {wang}, key: '{KEYS['wang'].verify_key.to_hex()}'}}",
        f"{{id: li, name: 李明, roles: [reconciler], key: '{KEYS['li'].verify_key.to_hex()}'}}",
    ]
    return parse_settings(SAMPLE.replace("people: []", "people: [" + ", ".join(people) + "]"), "test")


def signed(centre: Settings, key: str = "wang", person: str = "wang", on: datetime.date = DAY) -> Signature:
    return sign(centre, KEYS[key], person=person, role="approver", subject="payments", digest=DIGEST, on=on)


def test_a_person_in_office_signs_with_their_own_key() -> None:
    signature = signed(settings())
    assert check_signature(settings(), signature, on=DAY).name == "王芳"
    assert Signature.from_json(signature.as_json()) == signature


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"person": "zhao"}, "nobody of this centre"),
        ({"person": "li"}, "does not hold the role approver"),
        ({"key": "li"}, "not by the key of wang"),
    ],
)
def test_others_do_not(changes: dict[str, str], message: str) -> None:
    with pytest.raises(RefusedError, match=message):
        signed(settings(), **changes)


@pytest.mark.parametrize(("day", "fits"), [(1, False), (2, True), (3, True), (4, False)])
def test_office_has_dates(day: int, fits: bool) -> None:
    centre = settings("roles: [approver], valid_from: 2026-03-02, valid_to: 2026-03-03")
    on = datetime.date(2026, 3, day)
    if fits:
        assert signed(centre, on=on).person == "wang"
    else:
        with pytest.raises(RefusedError, match="acts from 2026-03-02 to 2026-03-03"):
            signed(centre, on=on)


@pytest.mark.parametrize("field", ["subject", "digest", "person", "role"])
def test_a_signature_is_for_one_thing_only(field: str) -> None:
    given = signed(settings("roles: [approver, auditor]")).as_json()
    given[field] = {"person": "li", "role": "auditor", "digest": "0" * 64}.get(field, "other")
    with pytest.raises(RefusedError):
        check_signature(settings("roles: [approver, auditor]"), Signature.from_json(given), on=DAY)


def test_two_persons_decide() -> None:
    require_another("wang", ["li"], what="payment 1")
    with pytest.raises(RefusedError, match="wang has already acted on payment 1"):
        require_another("wang", ["li", "wang"], what="payment 1")


@pytest.mark.parametrize("name", ["id", "key"])
def test_ids_and_keys_belong_to_one_person(name: str) -> None:
    text = SAMPLE.replace(
        "people: []",
        "people: [{id: a, name: A, roles: [], key: '%s'}, {id: %s, name: B, roles: [], key: '%s'}]"
        % (("1" * 64, "a", "2" * 64) if name == "id" else ("1" * 64, "b", "1" * 64)),
    )
    with pytest.raises(ConfigError, match=f"{name} .* belongs to two persons"):
        parse_settings(text, "test")


def test_a_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path, key = tmp_path / "people" / "wang.key", generate_signing_key()
    write_key(path, key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path).verify_key == key.verify_key
    with pytest.raises(RefusedError):
        write_key(path, key)
    path.write_text("no key")
    with pytest.raises(ConfigError):
        load_key(path)


def test_a_simulated_centre_has_people_with_keys_beside_it(tmp_path: Path) -> None:
    centre = tmp_path / "centre"
    initialise_centre(centre, simulated=True, passphrase="people", scrypt_n=2)
    for person in load_settings(centre).people:
        key = load_key(people_folder(centre) / f"{person.id}.key")
        assert key.verify_key.to_hex() == person.key
        assert not any(key.to_hex() in path.read_text("latin-1") for path in centre.rglob("*") if path.is_file())


def test_a_real_centre_has_none_yet(tmp_path: Path) -> None:
    initialise_centre(tmp_path / "centre", simulated=False, passphrase="people", scrypt_n=2)
    assert load_settings(tmp_path / "centre").people == ()
    assert not people_folder(tmp_path / "centre").exists()
