"""Cosignatures, against the example of the specification and a verifier that we did not write."""

from __future__ import annotations

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st
from tlog_scales.signing import Ed25519CosignatureVerifier, NoteSignature, Vkey
from tlog_scales.tlog import Checkpoint as TheirCheckpoint

from app.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from app.ledger.cosign import (
    MAX_TIME_S,
    Cosigner,
    make_cosigner_skey,
    parse_cosigner_skey,
    parse_cosigner_vkey,
    read_answer,
    read_cosignatures,
    verify_cosignature,
)
from app.ledger.note import (
    KeyMalformed,
    NoteMalformed,
    NoteSigner,
    make_skey,
    parse_signatures,
    parse_vkey,
    split_note,
)
from app.ledger.signatures import SignatureInvalid
from tests.fakes import START
from tests.sentences import explain

# The example of c2sp.org/tlog-cosignature, whose witness's key is not published.
SPEC_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGz"
    "Gku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin"
    "1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
LOG = NoteSigner("suxin.test/log", b"\x01" * 32)
ONE = Cosigner("witness.test/w1", b"\x02" * 32)
TWO = Cosigner("witness.test/w2", b"\x03" * 32)
NOTE = sign_checkpoint(Checkpoint("suxin.test/log", 7, b"\x07" * 32), LOG)
TEXT = split_note(NOTE)[0]
LINE = ONE.cosign(TEXT, at=START)


def test_the_specifications_example_is_read_as_it_says():
    text, (_, line) = split_note(SPEC_NOTE)
    assert (line.name, line.key_id.hex()) == ("witness.example.com/w1", "8d66cf3f")
    assert len(line.signature) == 72
    assert int.from_bytes(line.signature[:8], "big") == 1_679_315_147
    assert str(line) == SPEC_NOTE.splitlines(keepends=True)[-1]
    assert text.endswith("q2I=\n")


def test_a_verifier_that_we_did_not_write_accepts_a_cosignature_and_no_other():
    theirs = Ed25519CosignatureVerifier(Vkey.from_string(str(ONE.vkey)))
    given_ = NoteSignature.from_line(LINE.rstrip("\n"))
    assert theirs.get_timestamp(given_.payload) == int(START.timestamp())
    head = TheirCheckpoint("suxin.test/log", 7, b"\x07" * 32, [])
    assert head.serialize_body() == TEXT
    theirs.verify_note(given_, head)
    with pytest.raises(InvalidSignature):
        theirs.verify_note(given_, TheirCheckpoint("suxin.test/log", 8, b"\x07" * 32, []))


def test_keys_travel_as_text_and_are_of_their_own_kind():
    assert parse_cosigner_vkey(str(ONE.vkey)) == ONE.vkey
    skey = make_cosigner_skey("witness.test/w1", b"\x02" * 32)
    assert parse_cosigner_skey(skey).vkey == ONE.vkey
    for kind, text in ((parse_cosigner_vkey, str(LOG.vkey)), (parse_vkey, str(ONE.vkey))):
        with pytest.raises(KeyMalformed) as found:
            kind(text)
        explain(found.value)
    with pytest.raises(KeyMalformed) as found:
        parse_cosigner_skey(make_skey("suxin.test/log", b"\x01" * 32))
    assert "AQ" not in str(found.value)  # a secret is never quoted
    with pytest.raises(KeyMalformed):
        parse_cosigner_vkey(str(ONE.vkey).replace("w1+", "w2+"))


def test_a_vkey_with_a_plus_in_its_base64_is_read_whole():
    seeds = (bytes([n]) * 32 for n in range(4, 256))
    signer = next(s for s in (Cosigner("w", seed) for seed in seeds) if str(s.vkey).count("+") > 2)
    assert parse_cosigner_vkey(str(signer.vkey)) == signer.vkey


def test_cosignatures_are_read_beside_the_logs_own_signature():
    note = NOTE + LINE + TWO.cosign(TEXT, at=START)
    assert open_checkpoint(note, [LOG.vkey]).size == 7
    found = read_cosignatures(note, [TWO.vkey, ONE.vkey])
    assert [(one.key, one.at) for one in found] == [(ONE.vkey, START), (TWO.vkey, START)]
    assert found[0].line == LINE
    assert [one.key for one in read_cosignatures(note, [TWO.vkey])] == [TWO.vkey]
    assert read_cosignatures(NOTE, [ONE.vkey]) == []
    assert len(read_cosignatures(note + LINE, [ONE.vkey])) == 1


def test_a_key_of_a_witness_signs_no_checkpoint():
    # The same bytes as a log's key: the kind in the id keeps the two apart.
    log = NoteSigner("witness.test/w1", b"\x02" * 32)
    note = sign_checkpoint(Checkpoint("witness.test/w1", 7, b"\x07" * 32), log)
    assert read_cosignatures(note, [ONE.vkey]) == []


def forge(blob: bytes) -> str:
    line = parse_signatures(LINE)[0]
    return str(line._replace(signature=blob))


def test_a_time_beyond_all_bounds_or_another_length_is_no_cosignature():
    signature = parse_signatures(LINE)[0].signature
    for blob in (
        signature[:-1], signature + b"\0", signature[8:], b"\xff" * 8 + signature[8:],
        (MAX_TIME_S + 1).to_bytes(8, "big") + signature[8:],
    ):  # fmt: skip
        with pytest.raises(SignatureInvalid) as found:
            read_cosignatures(NOTE + forge(blob), [ONE.vkey])
        explain(found.value)


@given(st.integers(0, 72 * 8 - 1))
def test_any_flipped_bit_fails(bit):
    blob = bytearray(parse_signatures(LINE)[0].signature)
    blob[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        verify_cosignature(TEXT, parse_signatures(forge(bytes(blob)))[0], ONE.vkey)


def test_it_covers_every_line_of_the_checkpoint():
    for text in (TEXT.replace("7\n", "8\n"), TEXT + "extension\n", TEXT.replace("log", "lot")):
        with pytest.raises(SignatureInvalid):
            verify_cosignature(text, parse_signatures(LINE)[0], ONE.vkey)


@pytest.mark.parametrize(
    "answer",
    ["", "\n", LINE[:-1], f"x\n{LINE}", f"\n{LINE}", f"{TEXT}\n{LINE}", "— w !\n", LINE * 101],
)
def test_an_answer_of_anything_but_lines_is_malformed(answer):
    with pytest.raises(NoteMalformed):
        read_answer(TEXT, answer, [ONE.vkey])
    assert [one.key for one in read_answer(TEXT, LINE, [ONE.vkey])] == [ONE.vkey]
