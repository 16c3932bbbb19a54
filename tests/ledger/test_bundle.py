"""Evidence bundles: what is true is believed, whatever was touched is named, what is open is said."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.i18n import LANGUAGES, text
from app.ledger.bundle import verify_bundle, verify_bundle_bytes
from app.ledger.bundle_report import BundleReport
from tests.ledger.bundles import (
    ACCEPTED,
    LIVES,
    LOT,
    MANIPULATIONS,
    OTHER_LOG_KEY,
    PRODUCT,
    SELLER,
    SELLER_KEY,
    UNIT,
    VKEY,
    SmallLog,
    intact,
    mapped,
    revoke_key,
    sold_unit,
    unit_records,
)

ALWAYS_UNCHECKED = {"unchecked_later", "unchecked_view", "unchecked_truth"}


def keys_of(remarks) -> list[str]:
    return [remark.key for remark in remarks]


def counts(report: BundleReport) -> dict[str, int]:
    return {
        r.key: r.params["count"]
        for r in (*report.checked, *report.unchecked)
        if "count" in r.params
    }


@pytest.mark.parametrize("case", MANIPULATIONS, ids=lambda case: case.name)
def test_what_was_touched_is_named(case):
    report = verify_bundle(case.build(), vkey=case.vkey)
    first = report.broken[0]
    assert (report.exit_code, first.key, first.place) == (case.exit_code, case.key, case.place)
    assert report.verdict == ("differs" if case.exit_code == 1 else "unreadable")


@pytest.mark.parametrize(
    ("build", "unchecked"), [a[1:] for a in ACCEPTED], ids=[a[0] for a in ACCEPTED]
)
def test_what_is_in_order_matches_the_record(build, unchecked):
    report = verify_bundle(build(), vkey=VKEY)
    assert (report.verdict, report.exit_code, report.broken) == ("matches", 0, ())
    always = ALWAYS_UNCHECKED
    if unchecked is None:
        unchecked = set()
        assert keys_of(report.checked)[-1] == "checked_completeness"
    else:
        always = always | {"unchecked_completeness"}
    allowed = always | {"unchecked_sealed", "unchecked_revocation", "unchecked_overdue"} | unchecked
    assert unchecked | always <= set(keys_of(report.unchecked)) <= allowed


@pytest.mark.parametrize(
    ("build", "statuses"), [life[1:] for life in LIVES], ids=[life[0] for life in LIVES]
)
def test_beside_what_matches_stands_which_steps_there_are(build, statuses):
    report = verify_bundle(build(), vkey=VKEY)
    assert (report.verdict, report.exit_code) == ("matches", 0)
    told = report.as_json()["steps"]
    assert tuple(one["status"] for one in told) == statuses
    assert [one["step"] for one in told] == ["listing", "sale", "dispatch", "signature"]
    assert ("unchecked_overdue" in keys_of(report.unchecked)) == ("none" in statuses)
    for one in told:
        assert ("at" in one) == ("seq" in one) == (one["status"] in ("there", "pending"))


def test_a_step_names_its_record():
    (listing, sale, _, _) = verify_bundle(intact(), vkey=VKEY).as_json()["steps"]
    assert {k: listing[k] for k in ("stream", "seq")} == {"stream": PRODUCT, "seq": 1}
    body = json.loads(unit_records(intact())[1]["body"])
    assert sale == {
        "step": "sale",
        "status": "there",
        "stream": UNIT,
        "seq": 1,
        "at": body["recorded_at"],
    }


def test_nothing_is_told_of_the_steps_of_what_does_not_match():
    assert verify_bundle(MANIPULATIONS[0].build(), vkey=VKEY).steps is None
    assert verify_bundle({}, vkey=VKEY).steps is None
    assert verify_bundle(sold_unit().bundle(PRODUCT, PRODUCT), vkey=VKEY).steps is None
    assert verify_bundle(intact(), vkey=None).steps is not None


def test_completeness_is_said_up_to_the_map_and_no_further():
    log = mapped(after=lambda log: log.add(UNIT, "review"), below=8)
    report = verify_bundle(log.bundle(), vkey=VKEY)
    (told,) = [r for r in report.checked if r.key == "checked_completeness"]
    recorded_at = json.loads(log.heads("log/heads")[0].body)["recorded_at"]
    assert told.params == {"seq": 2, "at": recorded_at, "size": 8}
    assert recorded_at in text("en", "bundle.checked_completeness", **told.params)


def test_an_old_bundle_says_of_what_moment_it_is():
    log = mapped()
    old = verify_bundle(log.bundle(), vkey=VKEY)
    log.add(UNIT, "review")
    log.map_heads()
    new = verify_bundle(log.bundle(), vkey=VKEY)
    at = [r.checked[-1].params for r in (old, new)]
    assert [one["seq"] for one in at] == [3, 4]
    assert at[0]["at"] < at[1]["at"]


def test_the_report_counts_what_it_checked():
    report = verify_bundle(intact(), vkey=VKEY)
    assert counts(report) == {
        "checked_key": 1,
        "checked_records": 9,
        "checked_inclusions": 9,
        "checked_refs": 3,
        "checked_signatures": 2,
        "unchecked_sealed": 1,
    }
    assert report.subject == UNIT
    assert report.pending == ()


def test_without_a_key_from_elsewhere_it_only_agrees_with_itself():
    report = verify_bundle(intact(), vkey=None)
    assert (report.verdict, report.exit_code) == ("unanchored", 3)
    assert "unchecked_key" in keys_of(report.unchecked)
    assert counts(report)["checked_checkpoints"] == 1
    assert "checked_key" not in counts(report)


def test_a_forgers_own_log_agrees_with_itself_and_never_matches():
    bundle = intact()
    bundle["checkpoints"][0] |= {
        "key": str(OTHER_LOG_KEY.vkey),
        "note": sold_unit().checkpoint(OTHER_LOG_KEY),
    }
    assert verify_bundle(bundle, vkey=None).exit_code == 3
    assert verify_bundle(bundle, vkey=VKEY).exit_code == 1


def test_several_keys_may_be_given_one_a_line():
    both = f"{OTHER_LOG_KEY.vkey}\n\n  {VKEY}\n"
    assert verify_bundle(intact(), vkey=both).exit_code == 0


def test_what_is_pending_is_listed_and_not_counted_as_proven():
    log = sold_unit()
    log.add(UNIT, "review", {"rating": 5}, actor="consumer", sequenced=False)
    report = verify_bundle(log.bundle(), vkey=VKEY)
    assert report.exit_code == 0
    assert [(r.place, dict(r.params)) for r in report.pending] == [
        ("pending[0]", {"stream": UNIT, "seq": 4})
    ]
    assert counts(report)["checked_records"] == counts(report)["checked_inclusions"] == 9
    assert counts(report)["unchecked_pending"] == 1


def test_a_made_up_pending_record_is_no_checked_record_reference_or_signature():
    log = sold_unit()
    before = counts(verify_bundle(log.bundle(), vkey=VKEY))
    lot = log.heads(LOT)[0]
    log.add(UNIT, "return", refs=(lot,), signed_by=SELLER_KEY, sequenced=False)
    after = counts(verify_bundle(log.bundle(), vkey=VKEY))
    assert after == before | {"unchecked_pending": 1}


def test_a_made_up_pending_revocation_does_not_undo_a_proven_signature():
    log = sold_unit()
    assert log.bundle()["streams"][0]["stream"] == UNIT
    log.seconds = 3  # behind the key's registration, and well before what it signed
    log.add(UNIT, "dispatch", signed_by=SELLER_KEY, after_s=20)
    log.seconds = 3
    revoke_key(log, SELLER, SELLER_KEY, sequenced=False)
    report = verify_bundle(log.bundle(), vkey=VKEY)
    assert (report.exit_code, report.broken) == (0, ())
    assert counts(report)["checked_signatures"] == 3


def test_where_nothing_is_in_the_log_yet_nothing_is_proven():
    log = SmallLog()
    log.add(UNIT, "registration", sequenced=False)
    bundle = log.bundle() | {"checkpoints": []}
    for vkey in (VKEY, None):
        report = verify_bundle(bundle, vkey=vkey)
        assert (report.exit_code, keys_of(report.broken)) == (1, ["nothing_proven"])


def test_a_pending_record_must_follow_too():
    log = sold_unit()
    log.add(UNIT, "review", {"rating": 5}, prev=b"\x01" * 32, sequenced=False)
    report = verify_bundle(log.bundle(), vkey=VKEY)
    assert [(r.key, r.place) for r in report.broken] == [("prev_mismatch", "pending[0]")]


def test_every_broken_place_is_named_the_first_one_first():
    bundle = intact()
    unit_records(bundle)[0]["hash"] = "00" * 32
    unit_records(bundle)[3]["leaf_index"] = 0
    bundle["streams"].pop(1)
    report = verify_bundle(bundle, vkey=VKEY)
    assert [(r.key, r.place) for r in report.broken] == [
        ("hash_mismatch", "streams[0].records[0]"),
        ("not_included", "streams[0].records[3]"),
        ("ref_missing", "streams[0].records[1].refs[0]"),
    ]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff{}", b'{"format":1,"format":1}', b"NaN", b'{"a":"\\ud800"}', b"[" * 10**6],
)
def test_what_is_no_json_is_unreadable(raw):
    report = verify_bundle_bytes(raw, vkey=VKEY)
    assert (report.exit_code, keys_of(report.broken)) == (2, ["not_json"])


def test_a_package_that_was_not_unpacked_is_called_a_zip_file():
    report = verify_bundle_bytes(b"PK\x03\x04\x14\x00", vkey=VKEY)
    assert (report.exit_code, keys_of(report.broken)) == (2, ["zip"])


def test_a_message_holds_no_control_characters_of_a_forger():
    bundle = intact() | {"subject": "\x1b[2J" + "x" * 1000}
    report = verify_bundle(bundle, vkey=VKEY)
    assert report.subject.startswith("\ufffd[2J")
    assert len(report.subject) == 160
    assert "\x1b" not in json.dumps(report.as_json(), ensure_ascii=False)


def test_a_lone_surrogate_is_broken_and_not_a_crash():
    bundle = intact()
    unit_records(bundle)[1]["body"] += "\ud800"
    bundle["checkpoints"][0]["note"] += "\ud800"
    report = verify_bundle(bundle, vkey=VKEY)
    assert keys_of(report.broken)[:2] == ["checkpoint_signature", "body_form"]


RAW = json.dumps(intact(), ensure_ascii=False).encode()


@given(st.integers(0, len(RAW) * 8 - 1))
def test_no_flipped_bit_makes_false_evidence_match(bit):
    flipped = bytearray(RAW)
    flipped[bit // 8] ^= 1 << bit % 8
    report = verify_bundle_bytes(bytes(flipped), vkey=VKEY)
    if report.exit_code == 0:
        # Only what no check relies on may change unseen: unknown members and when it was made.
        verified = json.loads(flipped)
        original = json.loads(RAW)
        for name in ("format", "subject", "streams", "checkpoints"):
            assert verified[name] == original[name]


def test_every_sentence_is_there_in_both_languages_and_promises_nothing():
    reports = [verify_bundle(case.build(), vkey=case.vkey) for case in MANIPULATIONS]
    reports += [
        verify_bundle(build(), vkey=vkey) for _, build, _ in ACCEPTED for vkey in (VKEY, None)
    ]
    for lang in LANGUAGES:
        for report in reports:
            said = [text(lang, f"bundle.verdict_{report.verdict}")]
            remarks = (*report.broken, *report.checked, *report.unchecked, *report.pending)
            said += [text(lang, f"bundle.{remark.key}", **remark.params) for remark in remarks]
            for sentence in said:
                assert "正品" not in sentence
                assert "genuine" not in sentence.lower()
                assert "authentic" not in sentence.lower()
    assert text("en", "bundle.verdict_matches") == "It matches the record."
