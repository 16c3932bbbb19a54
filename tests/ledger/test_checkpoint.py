"""Signed notes, checkpoints and receipts, against the golden examples of the specifications."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.checkpoint import (
    Checkpoint,
    CheckpointMalformed,
    OriginDiffers,
    Receipt,
    ReceiptMalformed,
    open_checkpoint,
    open_receipt,
    parse_checkpoint,
    parse_receipt,
    sign_checkpoint,
    sign_receipt,
)
from app.ledger.merkle import EMPTY_ROOT, edge_append, edge_root, leaf_hash
from app.ledger.note import (
    KeyMalformed,
    NoteMalformed,
    NoteSigner,
    NoteUnsigned,
    decode_base64,
    make_skey,
    make_vkey,
    open_note,
    parse_skey,
    parse_vkey,
    read_unverified,
    sign_note,
)
from app.ledger.signatures import (
    PublicKeyRefused,
    SignatureInvalid,
    check_public_key,
    verify_signature,
)

# c2sp.org/signed-note, and example.com/log/testdata of transparency-dev (TLOG.md section 4).
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONnc"
    "AlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
LOG = "example.com/log/testdata"
LOG_SKEY = f"PRIVATE+KEY+{LOG}+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"
LOG_VKEY = f"{LOG}+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
LOG_WORDS = "one two three four five six seven eit nain ten ileven twelf threeten fourten fivten"
LOG_ROOT = "rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs="
LOG_NOTE = (
    f"{LOG}\n15\n{LOG_ROOT}\n\n— {LOG} M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt"
    "/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=\n"
)

LOG_SIGNER = NoteSigner("suxin.test/log", bytes(range(32)))
OTHER_SIGNER = NoteSigner("suxin.test/log", bytes(range(1, 33)))
WITNESS = NoteSigner("witness.test/w1", b"\x07" * 32)


# ---------------------------------------------------------------------------------------- keys


def test_keys_of_the_specification_are_read_and_written_as_they_are():
    assert str(parse_vkey(SPEC_VKEY)) == SPEC_VKEY
    assert parse_vkey(LOG_VKEY).name == LOG
    # Both base64 parts hold a `+`: splitting at every one would lose the key.
    assert str(parse_skey(LOG_SKEY).vkey) == LOG_VKEY
    seed = decode_base64(LOG_SKEY.split("+", 4)[4])[1:]
    assert make_skey(LOG, seed) == LOG_SKEY


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        SPEC_VKEY.replace("530d903a", "530d903b"),
        SPEC_VKEY.replace("530d903a", "530D903A"),
        SPEC_VKEY.replace("530d903a", "0530d903a"),
        SPEC_VKEY.replace("example.com/foo", "example.com/fop"),
        SPEC_VKEY.replace("example.com/foo", "example.com foo"),
        SPEC_VKEY.replace("example.com/foo", ""),
        SPEC_VKEY + "=",
        SPEC_VKEY + "\n",
        SPEC_VKEY[:-4],
        SPEC_VKEY.replace("+Aek", "+Bek"),  # kind 0x05
        SPEC_VKEY.replace("+Aek", "+ek"),
    ],
)
def test_a_damaged_vkey_is_refused(text):
    with pytest.raises((KeyMalformed, PublicKeyRefused)):
        parse_vkey(text)


def test_a_refused_secret_key_is_not_quoted():
    secret = LOG_SKEY.split("+", 4)[4]
    for text in (LOG_SKEY[:-4], LOG_SKEY.replace("33d7b496", "33d7b497"), LOG_SKEY[3:]):
        with pytest.raises(KeyMalformed) as refused:
            parse_skey(text)
        assert secret[:20] not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["", "a+b", "a b", "a\u3000b", "a\u2028b", "a\tb", "a\x01", "\ud800"]
)
def test_a_key_has_no_name_that_a_note_could_not_hold(name):
    with pytest.raises(KeyMalformed):
        NoteSigner(name, bytes(32))


@pytest.mark.parametrize(
    "key",
    [
        "00" * 32,  # order 4
        "01" + "00" * 31,  # the identity: R = identity, S = 0 would fit every message
        "01" + "00" * 30 + "80",
        "ec" + "ff" * 30 + "7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ed" + "ff" * 30 + "7f",  # y = p
        "ff" * 32,
        "02" + "00" * 31,  # no point has this y
        "00" * 31,
    ],
)
def test_a_weak_public_key_is_refused(key):
    with pytest.raises(PublicKeyRefused):
        check_public_key(bytes.fromhex(key))
    with pytest.raises(PublicKeyRefused):
        make_vkey("a", bytes.fromhex(key))
    with pytest.raises((PublicKeyRefused, SignatureInvalid)):
        verify_signature(public_key=bytes.fromhex(key), signature=b"\x01" + bytes(63), message=b"m")


# --------------------------------------------------------------------------------------- notes


def test_the_note_of_the_specification_opens():
    opened = open_note(SPEC_NOTE, [parse_vkey(SPEC_VKEY)])
    assert opened.text == "This is an example message.\n"
    assert opened.names == ("example.com/foo",)
    assert open_note(SPEC_NOTE.encode(), [parse_vkey(SPEC_VKEY)]) == opened


def test_the_text_ends_at_the_last_empty_line():
    text = "one\n\ntwo\n\n— not a signature\n"
    note = sign_note(text, LOG_SIGNER)
    assert open_note(note, [LOG_SIGNER.vkey]).text == text


def test_signatures_of_unknown_keys_are_ignored_but_one_must_be_known():
    note = sign_note("text\n", WITNESS, LOG_SIGNER, OTHER_SIGNER)
    assert open_note(note, [LOG_SIGNER.vkey]).names == ("suxin.test/log",)
    assert open_note(note, [WITNESS.vkey, LOG_SIGNER.vkey]).names == (
        "witness.test/w1",
        "suxin.test/log",
    )
    with pytest.raises(NoteUnsigned):
        open_note(sign_note("text\n", WITNESS), [LOG_SIGNER.vkey])


def test_one_wrong_signature_of_a_known_key_makes_the_note_false():
    true = sign_note("text\n", LOG_SIGNER, WITNESS)
    other = sign_note("other\n", WITNESS)
    forged = true.replace(true.split("\n")[3], other.split("\n")[2])
    assert open_note(forged, [LOG_SIGNER.vkey]).names == ("suxin.test/log",)
    with pytest.raises(SignatureInvalid):
        open_note(forged, [LOG_SIGNER.vkey, WITNESS.vkey])
    # Also when a true one of the same key stands before it.
    with pytest.raises(SignatureInvalid):
        open_note(true + other.split("\n")[2] + "\n", [WITNESS.vkey])


def test_sixteen_signatures_are_accepted_and_a_thousand_are_not():
    witnesses = [NoteSigner(f"witness.test/{n}", bytes([n]) * 32) for n in range(1, 17)]
    note = sign_note("text\n", *witnesses)
    assert len(open_note(note, [w.vkey for w in witnesses]).names) == 16
    with pytest.raises(NoteMalformed):
        open_note(sign_note("text\n", *[WITNESS] * 1000), [WITNESS.vkey])


GOOD = sign_note("text\n", LOG_SIGNER)
SIGNATURE = GOOD.split("\n")[2]


@pytest.mark.parametrize(
    "note",
    [
        "",
        "\n",
        "text\n",
        "text\n\n",
        f"text\n\n{SIGNATURE}",
        f"text\n{SIGNATURE}\n",
        f"text\n\n\n{SIGNATURE}\n\n",
        f"text\n\n{SIGNATURE}\n{SIGNATURE[2:]}\n",
        f"text\n\n{SIGNATURE.replace('—', '-')}\n",
        f"text\n\n{SIGNATURE.replace('— ', '—')}\n",
        f"text\n\n{SIGNATURE} \n",
        f"text\n\n{SIGNATURE}\r\n",
        f"te\x00xt\n\n{SIGNATURE}\n",
        f"te\txt\n\n{SIGNATURE}\n",
        f"te\ud800xt\n\n{SIGNATURE}\n",
        f"text\n\n{SIGNATURE[:-1]}\n",
        "text\n\n— suxin.test/log AAAA\n",
        "text\n\n— suxin.test/log \n",
        "text\n\n— suxin.test/log\n",
        f"text\n\n— a+b {SIGNATURE.split(' ')[2]}\n",
        b"text\xff\n\n" + SIGNATURE.encode() + b"\n",
        "x" * 1_000_001 + f"\n\n{SIGNATURE}\n",
    ],
)
def test_what_is_no_note_is_refused(note):
    with pytest.raises(NoteMalformed):
        open_note(note, [LOG_SIGNER.vkey])


def test_an_unverified_note_is_only_read():
    assert read_unverified(GOOD) == "text\n"
    assert read_unverified(GOOD.replace("text", "lies")) == "lies\n"
    with pytest.raises(NoteMalformed):
        read_unverified("text\n\nsignature\n")


@pytest.mark.parametrize("text", ["", "no line feed", "a\tb\n", "a\rb\n", "\ud800\n"])
def test_a_text_that_could_not_be_read_back_is_not_signed(text):
    with pytest.raises(NoteMalformed):
        sign_note(text, LOG_SIGNER)


def test_a_note_without_a_signer_is_no_note():
    with pytest.raises(NoteMalformed):
        sign_note("text\n")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n")))
def test_any_text_comes_back_from_its_note(text):
    assert open_note(sign_note(text + "\n", LOG_SIGNER), [LOG_SIGNER.vkey]).text == text + "\n"


@given(st.integers(0, len(GOOD.encode()) * 8 - 1))
def test_any_flipped_bit_of_a_note_is_noticed(bit):
    raw = bytearray(GOOD.encode())
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises((NoteMalformed, NoteUnsigned, SignatureInvalid)):
        open_note(bytes(raw), [LOG_SIGNER.vkey])


@pytest.mark.parametrize("text", ["QUJD\n", "QUJ", "QUJDRA=", "QUI=QUI=", "QR==", " QUJD", "QU-_"])
def test_base64_has_one_spelling(text):
    with pytest.raises(ValueError, match=r"."):
        decode_base64(text)


# --------------------------------------------------------------------------------- checkpoints


def test_the_golden_log_is_signed_byte_by_byte_at_every_size():
    signer = parse_skey(LOG_SKEY)
    hashes = [leaf_hash(word.encode()) for word in LOG_WORDS.split()]
    for size in range(16):
        root = edge_root(size, edge_append(0, (), hashes[:size]))
        note = sign_checkpoint(Checkpoint(LOG, size, root), signer)
        assert open_checkpoint(note, [parse_vkey(LOG_VKEY)], origin=LOG) == Checkpoint(
            LOG, size, root
        )
    assert base64.b64encode(root).decode() == LOG_ROOT
    assert note == LOG_NOTE


def test_extension_lines_are_kept_and_signed():
    checkpoint = Checkpoint("suxin.test/log", 1, bytes(32), ("extension one", "two"))
    note = sign_checkpoint(checkpoint, LOG_SIGNER)
    assert open_checkpoint(note, [LOG_SIGNER.vkey]) == checkpoint


ROOT = base64.b64encode(b"\x05" * 32).decode()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "lines"),
        (f"log\n5\n{ROOT}", "lines"),
        ("log\n5\n", "lines"),
        (f"\n5\n{ROOT}\n", "lines"),
        (f"log\n5\n{ROOT}\n\n", "lines"),
        (f"log\n5\n{ROOT}\n\nextension\n", "lines"),
        (f"log\n05\n{ROOT}\n", "size"),
        (f"log\n+5\n{ROOT}\n", "size"),
        (f"log\n-5\n{ROOT}\n", "size"),
        (f"log\n5 \n{ROOT}\n", "size"),
        (f"log\n\u0665\n{ROOT}\n", "size"),  # ARABIC-INDIC DIGIT FIVE
        (f"log\n5_0\n{ROOT}\n", "size"),
        (f"log\n0x5\n{ROOT}\n", "size"),
        (f"log\n{2**63}\n{ROOT}\n", "size"),
        (f"log\n{'9' * 5000}\n{ROOT}\n", "size"),
        ("log\n5\nBQUFBQ==\n", "root"),
        (f"log\n5\n{ROOT[:-1]}\n", "root"),
        (f"log\n5\n{ROOT[:-2]}V=\n", "root"),  # stray low bits
        (f"log\n0\n{ROOT}\n", "root"),  # an empty log has one root only
    ],
)
def test_a_checkpoint_has_one_spelling(text, part):
    with pytest.raises(CheckpointMalformed) as refused:
        parse_checkpoint(text)
    assert refused.value.params == {"part": part}


def test_a_checkpoint_of_another_log_is_not_taken_for_ours():
    note = sign_checkpoint(Checkpoint("suxin.test/log/2027", 0, EMPTY_ROOT), LOG_SIGNER)
    with pytest.raises(OriginDiffers) as refused:
        open_checkpoint(note, [LOG_SIGNER.vkey], origin="suxin.test/log")
    assert refused.value.params["got"] == "suxin.test/log/2027"


@pytest.mark.parametrize("origin", ["", "two words", "a+b", "two\nlines"])
def test_a_log_with_an_impossible_name_signs_nothing(origin):
    with pytest.raises(CheckpointMalformed):
        sign_checkpoint(Checkpoint(origin, 0, EMPTY_ROOT), LOG_SIGNER)


# ------------------------------------------------------------------------------------ receipts

NOON = datetime(2026, 11, 23, 12, 0, 0, 123_000, UTC)
RECEIPT = Receipt(
    stream="01/06901234567892/21/8F3K2M9QZ7AB",
    seq=3,
    hash=b"\xab" * 32,
    recorded_at=NOON,
    publish_by=NOON + timedelta(seconds=60),
)
RECEIPT_TEXT = (
    "suxin-receipt/1\n01/06901234567892/21/8F3K2M9QZ7AB\n3\n" + "ab" * 32 + "\n"
    "2026-11-23T12:00:00.123Z\n2026-11-23T12:01:00.123Z\n"
)


def test_a_receipt_is_the_text_of_the_contract_and_comes_back():
    note = sign_receipt(RECEIPT, WITNESS)
    assert note.startswith(RECEIPT_TEXT + "\n— witness.test/w1 ")
    assert open_receipt(note, WITNESS.vkey) == RECEIPT
    with pytest.raises(SignatureInvalid):
        open_receipt(note.replace("\n3\n", "\n4\n"), WITNESS.vkey)
    with pytest.raises(NoteUnsigned):
        open_receipt(note, LOG_SIGNER.vkey)


@pytest.mark.parametrize(
    "text",
    [
        RECEIPT_TEXT[:-1],
        RECEIPT_TEXT + "more\n",
        RECEIPT_TEXT.replace("receipt/1", "receipt/2"),
        RECEIPT_TEXT.replace("\n3\n", "\n03\n"),
        RECEIPT_TEXT.replace("ab" * 32, "AB" * 32),
        RECEIPT_TEXT.replace(".123Z\n2026", "Z\n2026"),
        RECEIPT_TEXT.replace("T12:01", "T12:61"),
        RECEIPT_TEXT.replace("123Z\n2026", "123+00:00\n2026"),
    ],
)
def test_a_receipt_has_one_spelling(text):
    with pytest.raises(ReceiptMalformed):
        parse_receipt(text)
