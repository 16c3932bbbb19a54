"""Evidence judged by a policy: whose cosignatures suffice, the same in both verifiers."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.kit.errors import Fault
from app.ledger.bundle import verify_bundle_bytes
from app.ledger.cosign import Cosigner
from app.ledger.note import SignatureLine, split_note
from app.ledger.policy import parse_policy
from app.terminal import print_report
from tests.fakes import START
from tests.ledger.bundles import OTHER_LOG_KEY, VKEY, WITNESS, sold_unit
from tests.ledger.test_policy import BASE, REFUSED

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "verify_bundle.py"


def load():
    spec = importlib.util.spec_from_file_location("verify_policy_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


script = load()

COSIGNERS = [Cosigner(f"witness.test/w{n}", bytes([n + 20]) * 32) for n in range(3)]
NAMES = "w0 w1 w2"


def policy(quorum: str, *, log: str = VKEY) -> bytes:
    lines = [f"log {log}"] if log else []
    lines += [f"witness w{n} {cosigner.vkey}" for n, cosigner in enumerate(COSIGNERS)]
    lines += [f"group two 2 {NAMES}", f"quorum {quorum}", ""]
    return "\n".join(lines).encode()


def cosigned(*numbers: int, also: str = "", text: str = "") -> bytes:
    bundle = sold_unit().bundle()
    checkpoint = bundle["checkpoints"][0]
    said = text or split_note(checkpoint["note"])[0]
    checkpoint["note"] += "".join(COSIGNERS[n].cosign(said, at=START) for n in numbers) + also
    return json.dumps(bundle, ensure_ascii=False).encode()


def both(raw: bytes, asked: bytes | None, vkey: str | None = None) -> dict:
    theirs = script.verify(raw, vkey, asked)
    assert theirs == verify_bundle_bytes(raw, vkey=vkey, policy=asked).as_json()
    return theirs


def outcome(report: dict) -> tuple:
    first = report["broken"][0] if report["broken"] else {"key": "", "place": ""}
    counted = {r["key"]: r["params"].get("count") for r in report["checked"]}
    return report["exit_code"], first["key"], first["place"], counted.get("checked_witnesses")


MISSING = (1, "quorum_missing", "checkpoints[0]", None)


@pytest.mark.parametrize(
    ("quorum", "numbers", "expected"),
    [
        ("two", (0, 1), (0, "", "", 1)),
        ("two", (2, 0, 1), (0, "", "", 1)),
        ("two", (1,), MISSING),
        ("two", (1, 1), MISSING),
        ("two", (), MISSING),
        ("w2", (2,), (0, "", "", 1)),
        ("w2", (0, 1), MISSING),
        ("none", (), (0, "", "", None)),
        ("none", (1,), (0, "", "", None)),
    ],
)
def test_a_checkpoint_bears_the_quorum_or_the_evidence_is_false(quorum, numbers, expected):
    report = both(cosigned(*numbers), policy(quorum))
    assert outcome(report) == expected
    assert "unchecked_key" not in [r["key"] for r in report["unchecked"]]


def test_a_cosignature_of_another_text_or_a_damaged_one_makes_the_note_false():
    other = cosigned(0, 1, text="suxin.test/log\n1\nAAAA\n")
    assert outcome(both(other, policy("two"))) == MISSING
    key = COSIGNERS[2].vkey
    for blob in (b"\0" * 72, b"\0" * 8, b"\xff" * 72):
        line = str(SignatureLine(key.name, key.key_id, blob))
        assert outcome(both(cosigned(0, 1, also=line), policy("two"))) == MISSING
        assert outcome(both(cosigned(also=line), policy("none"))) == MISSING
    # Of a stranger, or of a log's key of the same name, nothing is believed and nothing is asked.
    line = str(SignatureLine(WITNESS.vkey.name, WITNESS.vkey.key_id, b"\0" * 72))
    assert outcome(both(cosigned(0, 1, also=line), policy("two")))[0] == 0


def test_without_a_policy_cosignatures_change_nothing():
    assert both(cosigned(0, 1), None, VKEY)["exit_code"] == 0
    assert both(cosigned(0, 1), None)["exit_code"] == 3


def test_the_logs_are_the_policys():
    other = str(OTHER_LOG_KEY.vkey)
    assert outcome(both(cosigned(0, 1), policy("two", log=other)))[1] == "key_differs"
    assert outcome(both(cosigned(0, 1), policy("two", log="")))[:2] == (2, "policy_logs")
    assert both(cosigned(0, 1), policy("two", log=""), VKEY)["exit_code"] == 0
    assert both(cosigned(0, 1), policy("two", log=other), VKEY)["exit_code"] == 0


@pytest.mark.parametrize("name", REFUSED)
def test_a_policy_that_cannot_be_read_is_said_with_its_line(name):
    text, line = REFUSED[name]
    report = both(cosigned(0, 1), text.encode())
    assert report["exit_code"] == 2
    assert report["broken"] == [{"key": "policy_given", "place": "", "params": {"line": line}}]


def reads(parse, raw: bytes) -> int:
    """The line at which a policy is refused, 0 where it is taken."""
    try:
        parse(raw)
    except script.PolicyError as err:
        return err.line
    except Fault as err:
        return err.line
    return 0


WORDS = st.sampled_from(
    [
        *[
            "log",
            "witness",
            "group",
            "quorum",
            "none",
            "any",
            "all",
            "a",
            "b",
            "g",
            "1",
            "2",
            "#",
            "é",
        ],
        *BASE.split(),
    ]
)
LINES = st.lists(WORDS, max_size=5).map(" ".join)


@given(st.lists(LINES, max_size=5), st.sampled_from(["\n", "\t\n", " \n\n", "\r\n"]))
@settings(max_examples=300)
def test_both_read_the_same_policies(lines, end):
    raw = (BASE + "".join(line + end for line in lines)).encode()
    assert reads(script.Policy, raw) == reads(parse_policy, raw)


@given(st.sets(st.integers(0, 2)), st.integers(1, 3), st.booleans())
def test_both_judge_a_quorum_alike(numbers, least, nested):
    raw = policy("two").replace(b"two 2", b"two %d" % least)
    if nested:
        raw = raw.replace(b"quorum two", b"group g all two\nquorum g")
    met = len(numbers) >= least
    assert (outcome(both(cosigned(*numbers), raw))[0] == 0) == met


@given(bit=st.integers(0, 10**6))
@settings(max_examples=60)
def test_any_flipped_bit_of_a_cosigned_note_is_judged_alike(bit):
    bundle = json.loads(cosigned(0, 1))
    note = bytearray(bundle["checkpoints"][0]["note"].encode())
    note[bit // 8 % len(note)] ^= 1 << bit % 8
    bundle["checkpoints"][0]["note"] = note.decode("utf-8", "replace")
    both(json.dumps(bundle).encode(), policy("two"))


def test_the_program_takes_a_policy_and_says_what_it_found(tmp_path, capsys):
    (tmp_path / "bundle.json").write_bytes(cosigned(0, 1))
    (tmp_path / "policy").write_bytes(policy("two"))
    asked = [str(tmp_path / "bundle.json"), "--policy", str(tmp_path / "policy")]
    assert script.main([*asked, "--lang", "en"]) == 0
    assert "cosigned by the witnesses that the policy asks for: 1" in capsys.readouterr().out
    (tmp_path / "bundle.json").write_bytes(cosigned(0))
    for lang, word in (("en", "lacks cosignatures"), ("zh", "联署")):
        assert script.main([*asked, "--lang", lang]) == 1
        assert word in capsys.readouterr().out
    (tmp_path / "policy").write_bytes(b"nonsense\n")
    assert script.main([*asked, "--lang", "en"]) == 2
    assert "line 1" in capsys.readouterr().out
    assert script.main([*asked[:2], str(tmp_path / "absent")]) == 2
    print_report(verify_bundle_bytes(cosigned(0), vkey=None, policy=policy("two")), "en")
    assert "lacks cosignatures" in capsys.readouterr().out
