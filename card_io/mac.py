"""MACs and keys of single cards with DES and two-key triple DES.

The plain twin of the batch engine `clearing.mac`, and the only module of `card_io` that
imports the cipher library for MACs. Clauses refer to `shared/reference/card-standards.md`.
Keys, factors and results are bytes; record fields are the integers of `card_io.records`
(identifiers and BCD dates are the big-endian integers of their raw bytes).

Every function raises ValueError for a key, block or factor of the wrong length, and
OverflowError for a field that does not fit its bytes.
"""

from __future__ import annotations

from Crypto.Cipher import DES

BLOCK = 8
_ZERO_BLOCK = bytes(BLOCK)
_MAC_BYTES = 4


def des_encrypt_block(key: bytes, block: bytes) -> bytes:
    """Encrypt one 8-byte block with single DES under an 8-byte key; parity bits are ignored."""
    return DES.new(key, DES.MODE_ECB).encrypt(_whole(block))


def des_decrypt_block(key: bytes, block: bytes) -> bytes:
    """Invert `des_encrypt_block`."""
    return DES.new(key, DES.MODE_ECB).decrypt(_whole(block))


def tdes_encrypt_block(key: bytes, block: bytes) -> bytes:
    """Encrypt one block with two-key triple DES (EDE) under a 16-byte key.

    Built from single DES because the library's own triple DES refuses equal key halves, and
    such keys do occur: test cards carry them.
    """
    left, right = _halves(key)
    return des_encrypt_block(left, des_decrypt_block(right, des_encrypt_block(left, block)))


def tdes_decrypt_block(key: bytes, block: bytes) -> bytes:
    """Invert `tdes_encrypt_block`."""
    left, right = _halves(key)
    return des_decrypt_block(left, des_encrypt_block(right, des_decrypt_block(left, block)))


def tdes_encrypt(key: bytes, data: bytes) -> bytes:
    """Encrypt whole blocks in electronic-codebook mode with `tdes_encrypt_block`."""
    return b"".join(tdes_encrypt_block(key, block) for block in _blocks(data))


def kcv(key: bytes) -> bytes:
    """Return the key check value: the first three bytes of encrypted zeros (8- or 16-byte key)."""
    encrypt = des_encrypt_block if len(key) == BLOCK else tdes_encrypt_block
    return encrypt(key, _ZERO_BLOCK)[:3]


def pad_zeros(data: bytes) -> bytes:
    """ISO/IEC 9797-1 padding method 1: zeros up to a block boundary, one zero block for no data."""
    return data + bytes(-len(data) % BLOCK) if data else _ZERO_BLOCK


def pad_marked(data: bytes) -> bytes:
    """ISO/IEC 9797-1 padding method 2: 80, then zeros; always adds at least one byte."""
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def cbc_mac(key: bytes, padded: bytes, iv: bytes = _ZERO_BLOCK) -> bytes:
    """ISO/IEC 9797-1 algorithm 1: CBC-MAC with single DES, all 8 bytes; `padded` is whole blocks."""
    state = _whole(iv)
    for block in _blocks(padded):
        state = des_encrypt_block(key, xor(state, block))
    return state


def retail_mac(key: bytes, padded: bytes, iv: bytes = _ZERO_BLOCK) -> bytes:
    """ISO/IEC 9797-1 algorithm 3: CBC-MAC under the left half, the last block with triple DES (§4.3)."""
    left, right = _halves(key)
    return des_encrypt_block(left, des_decrypt_block(right, cbc_mac(left, padded, iv)))


def diversify_key(master: bytes, factor: bytes) -> bytes:
    """Derive a 16-byte card key from a master key and an 8-byte factor (§4.1).

    The left half is the encrypted factor, the right half the encrypted complement.
    """
    return tdes_encrypt_block(master, factor) + tdes_encrypt_block(master, xor(factor, b"\xff" * BLOCK))


def short_mac(key: bytes, data: bytes) -> bytes:
    """Leftmost four bytes of the CBC-MAC over marked padding, the form of session MACs and TACs (§4.3)."""
    return cbc_mac(key, pad_marked(data))[:_MAC_BYTES]


def maintenance_mac(key: bytes, challenge: bytes, data: bytes) -> bytes:
    """MAC of secure messaging under the card's 16-byte key, 4 bytes (§4.3).

    The initial value is the card's challenge, filled up with zeros to a block (JR/T 0025).
    """
    return retail_mac(key, pad_marked(data), challenge.ljust(BLOCK, b"\x00"))[:_MAC_BYTES]


def amount_data(fen: int) -> bytes:
    """An amount or balance as the four bytes that MACs cover."""
    return fen.to_bytes(4, "big")


def purchase_session_data(card_random: bytes, offline_counter: int, terminal_counter: int) -> bytes:
    """What SESPK is the encryption of, 8 bytes (§4.2); only the low two bytes of the terminal counter enter."""
    return card_random + offline_counter.to_bytes(2, "big") + (terminal_counter & 0xFFFF).to_bytes(2, "big")


def load_session_data(card_random: bytes, online_counter: int) -> bytes:
    """What SESLK is the encryption of, 8 bytes (§4.2)."""
    return card_random + online_counter.to_bytes(2, "big") + b"\x80\x00"


def purchase_session_key(key: bytes, card_random: bytes, offline_counter: int, terminal_counter: int) -> bytes:
    """SESPK of a purchase, 8 bytes (§4.2)."""
    return tdes_encrypt_block(key, purchase_session_data(card_random, offline_counter, terminal_counter))


def load_session_key(key: bytes, card_random: bytes, online_counter: int) -> bytes:
    """SESLK of a load, 8 bytes (§4.2)."""
    return tdes_encrypt_block(key, load_session_data(card_random, online_counter))


def purchase_mac1(session_key: bytes, amount: int, txn_type: int, terminal_id: int, date4: int, time3: int) -> bytes:
    """MAC1 of a purchase, from terminal to card, 4 bytes (§4.3)."""
    return short_mac(session_key, purchase_mac1_data(amount, txn_type, terminal_id, date4, time3))


def purchase_mac1_data(amount: int, txn_type: int, terminal_id: int, date4: int, time3: int) -> bytes:
    """What MAC1 of a purchase and MAC2 of a load cover, 18 bytes (§4.3)."""
    return amount_data(amount) + _type(txn_type) + _terminal(terminal_id) + _time(date4, time3)


def purchase_mac2(session_key: bytes, amount: int) -> bytes:
    """MAC2 of a purchase, from card to terminal, 4 bytes (§4.3)."""
    return short_mac(session_key, amount_data(amount))


def load_mac1(session_key: bytes, old_balance: int, amount: int, txn_type: int, terminal_id: int) -> bytes:
    """MAC1 of a load, from card to host, 4 bytes (§4.3)."""
    return short_mac(session_key, load_mac1_data(old_balance, amount, txn_type, terminal_id))


def load_mac1_data(old_balance: int, amount: int, txn_type: int, terminal_id: int) -> bytes:
    """What MAC1 of a load covers, 15 bytes (§4.3)."""
    return amount_data(old_balance) + amount_data(amount) + _type(txn_type) + _terminal(terminal_id)


def load_mac2(session_key: bytes, amount: int, txn_type: int, terminal_id: int, date4: int, time3: int) -> bytes:
    """MAC2 of a load, from host to card, 4 bytes (§4.3): the same fields as a purchase's MAC1."""
    return purchase_mac1(session_key, amount, txn_type, terminal_id, date4, time3)


def tac_key(card_key: bytes) -> bytes:
    """Return the 8-byte key of a TAC: the exclusive or of the halves of the card's TAC key (§4.3)."""
    return xor(*_halves(card_key))


def purchase_tac_data(
    amount: int, txn_type: int, terminal_id: int, terminal_counter: int, date4: int, time3: int
) -> bytes:
    """What the TAC of a purchase covers, 22 bytes (§4.3)."""
    terminal = _terminal(terminal_id) + terminal_counter.to_bytes(4, "big")
    return amount_data(amount) + _type(txn_type) + terminal + _time(date4, time3)


def load_tac_data(
    new_balance: int,
    online_counter: int,
    amount: int,
    txn_type: int,
    terminal_id: int,
    date4: int,
    time3: int,
) -> bytes:
    """What the TAC of a load covers, 24 bytes (§4.3, one source); the counter before its increment."""
    card = amount_data(new_balance) + online_counter.to_bytes(2, "big")
    return card + amount_data(amount) + _type(txn_type) + _terminal(terminal_id) + _time(date4, time3)


def purchase_tac(
    card_key: bytes,
    amount: int,
    txn_type: int,
    terminal_id: int,
    terminal_counter: int,
    date4: int,
    time3: int,
) -> bytes:
    """TAC of a purchase under the card's 16-byte TAC key, 4 bytes."""
    data = purchase_tac_data(amount, txn_type, terminal_id, terminal_counter, date4, time3)
    return short_mac(tac_key(card_key), data)


def load_tac(
    card_key: bytes,
    new_balance: int,
    online_counter: int,
    amount: int,
    txn_type: int,
    terminal_id: int,
    date4: int,
    time3: int,
) -> bytes:
    """TAC of a load under the card's 16-byte TAC key, 4 bytes."""
    data = load_tac_data(new_balance, online_counter, amount, txn_type, terminal_id, date4, time3)
    return short_mac(tac_key(card_key), data)


def xor(a: bytes, b: bytes) -> bytes:
    """Exclusive or of two byte strings of one length; ValueError when the lengths differ."""
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def _type(txn_type: int) -> bytes:
    return txn_type.to_bytes(1, "big")


def _terminal(terminal_id: int) -> bytes:
    return terminal_id.to_bytes(6, "big")


def _time(date4: int, time3: int) -> bytes:
    return date4.to_bytes(4, "big") + time3.to_bytes(3, "big")


def _halves(key: bytes) -> tuple[bytes, bytes]:
    if len(key) != 2 * BLOCK:
        raise ValueError(f"a two-key triple DES key has 16 bytes, not {len(key)}")
    return key[:BLOCK], key[BLOCK:]


def _whole(block: bytes) -> bytes:
    if len(block) != BLOCK:
        raise ValueError(f"a block has 8 bytes, not {len(block)}")
    return block


def _blocks(data: bytes) -> list[bytes]:
    if len(data) % BLOCK:
        raise ValueError(f"{len(data)} bytes are not whole blocks")
    return [data[i : i + BLOCK] for i in range(0, len(data), BLOCK)]
