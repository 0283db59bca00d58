"""Both security modules, against the published chain of `card-standards.md` §4.5 and against each other."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from card_io import mac
from card_io.capture.settings import SettingsError
from card_io.keys.algorithm import KeyAlgorithm
from card_io.keys.entry import PURSE_KINDS, KeyKind, KeyScheme
from card_io.keys.keystore import KeyStore
from card_io.layouts.commands import PurseLimits
from card_io.purse import maintenance, purchase
from card_io.purse import online as purse_online
from card_io.purse.algorithm import CIPHERS, TDES
from card_io.purse.application import read_balance, select_purse
from card_io.records import Algorithm, TxnType
from card_io.sam.issuer_host import ModuleHost
from card_io.sam.keys import ModuleKeys, StoredKeys
from card_io.sam.memory import SamCounts, SamMemory
from card_io.sam.pkcs11 import TokenKeys, derived_key, retail_mac_under, session_mac_under
from card_io.sam.port import CardReference, OnlineTerms, PurchaseTerms, SamFault, SamLockedFault, WrongMacFault
from card_io.sam.terminal_sam import TerminalSam
from card_io.terminals.station import Wanted
from card_io.virtual_card.reader import VirtualReader
from card_io.virtual_card.training import TrainingIssuer
from clearing.mac import TacVerdict
from clearing.status import ClearingStatus, Disposition

from .circle import PASSPHRASE, Circle
from .conftest import DATE, TIME, Answered, channel_to
from .tacs import verdicts

SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")
ISSUER = "03032900FFFFFFFF"
OTHER_ISSUER = "02022900FFFFFFFF"
PIN = "1234"
TERMINAL = bytes.fromhex("001122334455")
FACTOR = bytes.fromhex("2011000270735501")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> KeyStore:
    """Random masters of every purse key: two levels for one issuer, one level for the other."""
    keys = KeyStore.create(tmp_path_factory.mktemp("keys") / "keystore.json", "sam", scrypt_n=2)
    for issuer, scheme in ((ISSUER, KeyScheme.TWO_LEVEL), (OTHER_ISSUER, KeyScheme.ONE_LEVEL)):
        for kind in PURSE_KINDS:
            keys.add(
                kind,
                secrets.token_bytes(16),
                algorithm=KeyAlgorithm.TDES,
                valid_from=date(2010, 1, 1),
                issuer_id=issuer,
                key_version=1,
                key_index=1,
                scheme=scheme,
            )
    return keys


@pytest.fixture(scope="module")
def token(store: KeyStore, issuer: TrainingIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenKeys]:
    """The same masters in a SoftHSM2 token of this test run."""
    if not SOFTHSM.exists() or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not installed: scripts/setup --tests")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    for label, pin in (("terminal", PIN), ("gate", PASSPHRASE)):
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", pin]
        subprocess.run(command, check=True, capture_output=True)
    with TokenKeys(SOFTHSM, "terminal", PIN, writable=True) as keys:
        for key in (*store.stored(*PURSE_KINDS), *issuer.store.stored(*PURSE_KINDS)):
            keys.store(key)
        yield keys


@pytest.fixture(params=("key store", "token"))
def keys(request: pytest.FixtureRequest, store: KeyStore) -> ModuleKeys:
    found: ModuleKeys = StoredKeys(store) if request.param == "key store" else request.getfixturevalue("token")
    return found


def reference(issuer: str = ISSUER, factor: bytes = FACTOR) -> CardReference:
    return CardReference(bytes.fromhex(issuer), factor, 1, 1, Algorithm.TDES)


def card_key(store: KeyStore, kind: KeyKind, card: CardReference) -> bytes:
    """Diversified by hand from the store, with `card_io.mac` only."""
    found = store.find(kind, card.issuer_id.hex(), 1, 1, on_date=date(2026, 1, 1))
    master = found.secret
    if found.attributes.scheme is KeyScheme.TWO_LEVEL:
        master = mac.diversify_key(master, card.issuer_id)
    return mac.diversify_key(master, card.factor)


def terms(card: CardReference, amount: int = 0x1000, txn_type: TxnType = TxnType.PURSE_PURCHASE) -> PurchaseTerms:
    return PurchaseTerms(card, bytes.fromhex("11223344"), 0, amount, txn_type, 0x20120229, 0x135100)


def online(card: CardReference, txn_type: TxnType, old_limit: int = 0) -> OnlineTerms:
    random = bytes.fromhex("11223344")
    return OnlineTerms(card, random, 0, 0, 0x1000, txn_type, TERMINAL, 0x20111221, 0x214822, old_limit)


class TestPublishedChain:
    """The values of §4.5 through the token: the card key is put in by hand, everything else is derived inside."""

    @pytest.fixture
    def vectors(self, shared_data: Path) -> dict[str, dict[str, str]]:
        document = json.loads((shared_data / "vectors" / "vectors.json").read_text("utf-8"))
        return {entry["id"]: entry for entry in document["vectors"]}

    @staticmethod
    def key_object(token: TokenKeys, value: bytes) -> object:
        import pkcs11
        from pkcs11 import Attribute

        return token._session.create_object(
            {
                Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY,
                Attribute.KEY_TYPE: pkcs11.KeyType.DES2,
                Attribute.VALUE: value,
                Attribute.TOKEN: False,
                Attribute.DERIVE: True,
                Attribute.ENCRYPT: True,
            }
        )

    @pytest.mark.external
    @pytest.mark.parametrize(
        ("name", "session"),
        [
            ("EP-PURCHASE-MAC1", "EP-PURCHASE-SESPK"),
            ("EP-PURCHASE-MAC2", "EP-PURCHASE-SESPK"),
            ("EP-LOAD-MAC1", "EP-LOAD-SESLK"),
            ("EP-LOAD-MAC2", "EP-LOAD-SESLK"),
        ],
    )
    def test_session_macs(
        self, token: TokenKeys, vectors: dict[str, dict[str, str]], name: str, session: str, answered: Answered
    ) -> None:
        seed, data = (bytes.fromhex(vectors[each]["input"]) for each in (session, name))
        key = bytes.fromhex(vectors[session]["key"])
        due = bytes.fromhex(vectors[name]["output"])

        assert session_mac_under(self.key_object(token, key), seed, data) == due
        assert TDES.session_mac(TDES.session_key(key, seed), data) == due
        answered(2)

    @pytest.mark.external
    def test_diversification(self, token: TokenKeys, vectors: dict[str, dict[str, str]], answered: Answered) -> None:
        """The derived key cannot be read out, so its check value is compared."""
        import pkcs11

        vector = vectors["DIVERSIFY-3DES"]
        factor, due = (bytes.fromhex(vector[each]) for each in ("input", "output"))
        master = self.key_object(token, bytes.fromhex(vector["key"]))
        with derived_key(master, factor + mac.xor(factor, b"\xff" * 8)) as key:
            with pytest.raises(pkcs11.exceptions.AttributeSensitive):
                key[pkcs11.Attribute.VALUE]
            assert key.encrypt(bytes(8), mechanism=pkcs11.Mechanism.DES3_ECB)[:3] == mac.kcv(due)
        assert TDES.diversify(bytes.fromhex(vector["key"]), factor) == due
        answered(2)

    @pytest.mark.external
    @pytest.mark.parametrize("name", ["PBOC-MAC-ALG3", "ISO9797-1-alg3-pad2-DES", "PBOC-ARQC-1"])
    def test_retail_mac(
        self, token: TokenKeys, vectors: dict[str, dict[str, str]], name: str, answered: Answered
    ) -> None:
        key, data, due = (bytes.fromhex(vectors[name][each]) for each in ("key", "input", "output"))
        left, whole = (self.key_object(token, value) for value in (key[:8] * 2, key))

        assert retail_mac_under(left, whole, mac.pad_marked(data), bytes(8)) == due
        assert mac.retail_mac(key, mac.pad_marked(data)) == due
        answered(2)


@pytest.mark.parametrize("issuer_id", [ISSUER, OTHER_ISSUER])
class TestBothModules:
    """What a module says is what `card_io.mac` computes from the master by hand."""

    def test_purchase(self, keys: ModuleKeys, store: KeyStore, issuer_id: str) -> None:
        card = reference(issuer_id)
        sam = TerminalSam(keys, SamMemory(TERMINAL, first_counter=0x10001))
        given = sam.authorise(terms(card))
        session = mac.purchase_session_key(
            card_key(store, KeyKind.PURSE_PURCHASE, card), bytes.fromhex("11223344"), 0, 0x10001
        )

        number = int.from_bytes(TERMINAL, "big")
        assert given.terminal_counter == 0x10001
        assert given.mac1 == mac.purchase_mac1(session, 0x1000, 6, number, 0x20120229, 0x135100)
        sam.confirm(mac.purchase_mac2(session, 0x1000))

    @pytest.mark.parametrize(
        ("txn_type", "kind"), [(TxnType.PURSE_LOAD, KeyKind.PURSE_LOAD), (TxnType.UNLOAD, KeyKind.PURSE_UNLOAD)]
    )
    def test_load_and_unload(
        self, keys: ModuleKeys, store: KeyStore, issuer_id: str, txn_type: TxnType, kind: KeyKind
    ) -> None:
        card, number = reference(issuer_id), int.from_bytes(TERMINAL, "big")
        session = mac.load_session_key(card_key(store, kind, card), bytes.fromhex("11223344"), 0)
        mac1 = mac.load_mac1(session, 0, 0x1000, txn_type, number)
        due = mac.load_mac2(session, 0x1000, txn_type, number, 0x20111221, 0x214822)

        assert ModuleHost(keys).authorise_online(online(card, txn_type), mac1) == due
        with pytest.raises(WrongMacFault, match="MAC1"):
            ModuleHost(keys).authorise_online(online(card, txn_type), bytes(4))

    @pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 23, 100])
    def test_maintenance(self, keys: ModuleKeys, store: KeyStore, issuer_id: str, size: int) -> None:
        card, data = reference(issuer_id), secrets.token_bytes(size)
        key = card_key(store, KeyKind.PURSE_MAINTENANCE, card)
        challenge = bytes.fromhex("A1B2C3D4")

        due = mac.retail_mac(key, mac.pad_marked(data), challenge + bytes(4))[:4]
        assert ModuleHost(keys).maintenance_mac(card, 0x20260302, challenge, data) == due


def test_a_card_pays_and_loads_with_keys_that_stay_in_the_token(token: TokenKeys, issuer: TrainingIssuer) -> None:
    sam, host = TerminalSam(token, SamMemory(TERMINAL)), ModuleHost(token)
    channel = channel_to(issuer.card(700))
    card = select_purse(channel)
    loaded = purse_online.load(channel, card, host, sam.terminal, 5000, DATE, TIME)
    paid = [purchase.purchase(channel, card, sam, 100, DATE, TIME) for _ in range(20)]
    maintenance.block(channel, host, maintenance.key_reference(card, 1, 1, Algorithm.TDES), DATE)

    assert read_balance(channel) == 3000
    assert verdicts(issuer, [loaded, *paid]) == [TacVerdict.VERIFIED] * 21


def test_a_terminal_works_with_a_token(token: TokenKeys, tmp_path: Path) -> None:
    """`terminal.json` names the module; its PIN is the passphrase, and the centre verifies what it took."""
    circle = Circle.create(tmp_path)
    circle.register([41])
    with TokenKeys(SOFTHSM, "gate", PASSPHRASE, writable=True) as keys:
        for key in circle.issuer.store.stored(*PURSE_KINDS):
            keys.store(key)
    bus = {"place": {"mode": "bus", "line": 7}, "keystore": None}
    module = {"library": str(SOFTHSM), "label": "gate"}
    with circle.station("310400000009", 211, 210, ["transit"], token=module, **bus) as station:
        circle.publish()
        limits = PurseLimits(cap=100_000, balance=5_000, overdraft_limit=0, overdraft_used=0)
        with station.purse.touch(VirtualReader(circle.issuer.card(41, limits=limits))) as touch:
            [receipt] = station.service(Wanted("transit"))(touch)
        assert receipt.amount == 200
        circle.deliver(station)
    assert [row[:3] for row in circle.run().results] == [[ClearingStatus.ACCEPTED, Disposition.ACCEPTED, 1]]


@pytest.mark.parametrize(
    ("named", "said"),
    [({"keystore": None}, "names no keys"), ({"token": {"library": "x", "label": "y"}}, "and a token")],
)
def test_a_terminal_has_one_place_for_its_keys(tmp_path: Path, named: dict[str, object], said: str) -> None:
    circle = Circle.create(tmp_path)
    with pytest.raises(SettingsError, match=said):
        circle.station("310400000009", 211, 210, ["transit"], **named)


def test_a_missing_key_is_the_key_officers(keys: ModuleKeys) -> None:
    unknown = CardReference(bytes.fromhex(ISSUER), FACTOR, 1, 9, Algorithm.TDES)
    sam = TerminalSam(keys, SamMemory(TERMINAL))
    with pytest.raises(SamFault, match="index"):
        sam.authorise(terms(unknown))
    assert sam.counts.next_counter == 1


def test_a_token_says_what_it_does_not_do(token: TokenKeys) -> None:
    with pytest.raises(SamFault, match="key store"):
        token.pin_mac(reference(), 0x20260302, b"\x12\x34")
    with pytest.raises(SamFault, match="algorithm 04"):
        token.maintenance_mac(CardReference(bytes.fromhex(ISSUER), FACTOR, 1, 1, 4), 0x20260302, bytes(4), b"")


def test_a_wrong_token_pin_is_a_sam_fault(token: TokenKeys) -> None:
    with pytest.raises(SamFault, match="no-such-token"):
        TokenKeys(SOFTHSM, "no-such-token", PIN)


def test_three_wrong_mac2_lock_the_sam_for_good(keys: ModuleKeys, tmp_path: Path) -> None:
    path = tmp_path / "sam"
    sam = TerminalSam(keys, SamMemory(TERMINAL, path))
    for _ in range(2):
        sam.authorise(terms(reference()))
        with pytest.raises(WrongMacFault):
            sam.confirm(bytes(4))
    sam.authorise(terms(reference()))
    with pytest.raises(SamLockedFault, match="key officer"):
        sam.confirm(bytes(4))

    again = TerminalSam(keys, SamMemory(TERMINAL, path))
    with pytest.raises(SamLockedFault):
        again.authorise(terms(reference()))
    again.unlock()
    assert again.authorise(terms(reference())).terminal_counter == 4


def test_a_right_mac2_clears_the_failures(store: KeyStore) -> None:
    sam = TerminalSam(StoredKeys(store), SamMemory(TERMINAL))
    card = reference()
    for _ in range(2):
        sam.authorise(terms(card))
        with pytest.raises(WrongMacFault):
            sam.confirm(bytes(4))
    given = sam.authorise(terms(card))
    session = mac.purchase_session_key(
        card_key(store, KeyKind.PURSE_PURCHASE, card), bytes.fromhex("11223344"), 0, given.terminal_counter
    )
    sam.confirm(mac.purchase_mac2(session, 0x1000))
    assert sam.counts == SamCounts(4, 0)


class TestMemory:
    """The transaction number is never given twice, whatever is left of the file."""

    def test_it_goes_on_after_a_restart(self, tmp_path: Path) -> None:
        memory = SamMemory(TERMINAL, tmp_path / "sam")
        for counter in range(2, 6):
            memory.save(SamCounts(counter))
        assert SamMemory(TERMINAL, tmp_path / "sam").counts == SamCounts(5)

    def test_a_torn_write_leaves_the_one_before(self, tmp_path: Path) -> None:
        path = tmp_path / "sam"
        memory = SamMemory(TERMINAL, path)
        memory.save(SamCounts(2))
        before = path.read_bytes()
        memory.save(SamCounts(3))
        after = path.read_bytes()
        for cut in range(len(after)):
            path.write_bytes(after[:cut] + before[cut:])
            assert SamMemory(TERMINAL, path).counts.next_counter in (2, 3)

    def test_a_damaged_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "sam"
        path.write_bytes(bytes(128))
        with pytest.raises(SamFault, match="never begin the numbers anew"):
            SamMemory(TERMINAL, path)

    def test_another_sams_file_is_refused(self, tmp_path: Path) -> None:
        SamMemory(TERMINAL, tmp_path / "sam")
        with pytest.raises(SamFault, match="001122334455"):
            SamMemory(bytes(6), tmp_path / "sam")

    def test_a_full_disk_gives_no_number(self, store: KeyStore, tmp_path: Path) -> None:
        sam = TerminalSam(StoredKeys(store), SamMemory(TERMINAL, tmp_path / "sam"))
        (tmp_path / "sam").unlink()
        (tmp_path / "sam").mkdir()
        with pytest.raises(SamFault):
            sam.authorise(terms(reference()))
        assert sam.counts.next_counter == 1


def test_every_algorithm_says_whether_it_is_proven() -> None:
    assert {algorithm: cipher.proven for algorithm, cipher in CIPHERS.items()} == {
        Algorithm.TDES: True,
        Algorithm.SM4: False,
    }
