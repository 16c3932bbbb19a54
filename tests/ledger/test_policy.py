"""Policy files: what they may say, and when a quorum is met."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.cosign import Cosigner
from app.ledger.note import NoteSigner
from app.ledger.policy import PolicyMalformed, parse_policy
from tests.sentences import explain

LOGS = [str(NoteSigner(f"log.test/{n}", bytes([n]) * 32).vkey) for n in range(40)]
WITNESSES = [Cosigner(f"w.test/{n}", bytes([n + 100]) * 32).vkey for n in range(40)]
W = [str(key) for key in WITNESSES]
LOG, LOG2 = LOGS[:2]


def parse(text: str, **more):
    return parse_policy(text.encode("utf-8", "surrogateescape"), **more)


def test_the_specifications_example_with_its_groups():
    policy = parse(
        f"log {LOG}\n\n"
        f"witness X1 {W[0]}\nwitness X2 {W[1]}\nwitness X3 {W[2]}\ngroup X-witnesses 2 X1 X2 X3\n\n"
        f"witness Y1 {W[3]}\nwitness Y2 {W[4]}\nwitness Y3 {W[5]}\n"
        "group Y-witnesses any Y1 Y2 Y3\n\n"
        "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    )
    assert [str(key) for key in policy.log_keys] == [LOG]
    for count in range(7):
        for some in combinations(range(6), count):
            xs, ys = [n for n in some if n < 3], [n for n in some if n >= 3]
            met = policy.is_met([WITNESSES[n] for n in some])
            assert met == (len(xs) >= 2 and len(ys) >= 1), some


def test_urls_comments_blanks_and_a_missing_last_line_feed():
    policy = parse(
        f"# 策略\n \t\n\tlog\t{LOG}  https://log.test/  \n  # c\nwitness w {W[0]} https://w.test\nquorum w"
    )
    assert policy.logs[0].url == "https://log.test/"
    (witness,) = policy.witnesses
    assert (witness.name, witness.url, witness.line) == ("w", "https://w.test", 5)
    assert policy.is_met([WITNESSES[0]])
    assert not policy.is_met([WITNESSES[1]])


def test_none_asks_for_nobody():
    policy = parse(f"witness w {W[0]}\nquorum none\n")
    assert policy.is_met([])
    assert policy.log_keys == []


def test_a_list_of_logs_needs_no_quorum():
    assert len(parse(f"log {LOG}\nlog {LOG2}\n", whole=False).log_keys) == 2


def test_forty_of_each_are_read():
    lines = [f"log {key}" for key in LOGS]
    lines += [f"witness w{n} {key}" for n, key in enumerate(W)]
    lines += [f"group g{n} any w{n}" for n in range(40)]
    lines += ["group most 21 " + " ".join(f"g{n}" for n in range(40)), "quorum most", ""]
    policy = parse("\n".join(lines))
    assert (len(policy.logs), len(policy.witnesses), len(policy.groups)) == (40, 40, 41)
    assert policy.is_met(WITNESSES[:21])
    assert not policy.is_met(WITNESSES[:20])


def test_names_are_octets_and_nothing_folds_them():
    # ASCII K and the Kelvin sign, and a name that is no UTF-8.
    policy = parse(
        f"witness K {W[0]}\nwitness \u212a {W[1]}\nwitness \udcff {W[2]}\nquorum \udcff\n"
    )
    assert policy.is_met([WITNESSES[2]])
    assert not policy.is_met(WITNESSES[:2])


def test_a_key_whose_base64_holds_a_plus_is_read_whole():
    with_plus = next(
        key for n in range(256)
        if (key := str(Cosigner("w", bytes([n]) * 32).vkey)).count("+") > 2
    )  # fmt: skip
    assert str(parse(f"witness w {with_plus}\nquorum w\n").witnesses[0].key) == with_plus


BASE = f"log {LOG}\nwitness a {W[0]}\nwitness b {W[1]}\n"
REFUSED = {
    "control": (f"{BASE}quorum a\r\n", 4),
    "control vertical": (f"log {LOG}\nwitness\x0ba {W[0]}\nquorum none\n", 2),
    "word": (f"{BASE}witnesses c {W[2]}\nquorum a\n", 4),
    "word other case": (f"{BASE}Quorum a\n", 4),
    "words": (f"{BASE}quorum a b\n", 4),
    "words none": ("log\nquorum none\n", 1),
    "words url": (f"log {LOG} https://a.test https://b.test\nquorum none\n", 1),
    "words group": (f"{BASE}group g all\nquorum g\n", 4),
    "key": (f"{BASE}witness c nonsense\nquorum a\n", 4),
    "key of a log as witness": (f"{BASE}witness c {LOG2}\nquorum a\n", 4),
    "key of a witness as log": (f"log {W[0]}\nquorum none\n", 1),
    "key id": (f"log {LOG.replace('/0', '/9')}\nquorum none\n", 1),
    "key_twice": (
        f"{BASE}witness c {Cosigner('other.name', bytes([100]) * 32).vkey}\nquorum a\n",
        4,
    ),
    "key_twice log": (f"log {LOG}\n\nlog {LOG}\nquorum none\n", 3),
    "name_taken": (f"{BASE}witness a {W[2]}\nquorum a\n", 4),
    "name_taken group": (f"{BASE}group a any b\nquorum a\n", 4),
    "name_taken none": (f"witness none {W[0]}\nquorum none\n", 1),
    "name_unknown": (f"{BASE}quorum c\n", 4),
    "name_unknown below": (f"{BASE}group g any c\nwitness c {W[2]}\nquorum g\n", 4),
    "name_unknown itself": (f"{BASE}group g any g\nquorum g\n", 4),
    "name_unknown none": (f"{BASE}group g any none\nquorum g\n", 4),
    "member_twice": (f"{BASE}group g 2 a a\nquorum g\n", 4),
    "member_twice across": (f"{BASE}group g any a\ngroup h any a b\nquorum h\n", 5),
    "threshold": (f"{BASE}group g 3 a b\nquorum g\n", 4),
    "threshold zero": (f"{BASE}group g 0 a b\nquorum g\n", 4),
    "threshold spelling": (f"{BASE}group g 01 a b\nquorum g\n", 4),
    "threshold word": (f"{BASE}group g most a b\nquorum g\n", 4),
    "quorum_twice": (f"{BASE}quorum a\nquorum a\n", 5),
    "quorum_none": (BASE, 4),
    "size": ("#" * 1_000_001, 1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_named_with_its_line(name):
    text, line = REFUSED[name]
    with pytest.raises(PolicyMalformed) as found:
        parse(text)
    assert (found.value.key, found.value.line) == (f"policy_{name.split()[0]}", line)
    explain(found.value)


@given(st.sets(st.integers(0, 9)), st.integers(1, 10))
def test_a_threshold_counts_members_in_any_order(some, least):
    names = " ".join(f"w{n}" for n in range(10))
    lines = [f"witness w{n} {W[n]}" for n in range(10)]
    policy = parse("\n".join([*lines, f"group g {least} {names}", "quorum g\n"]))
    assert policy.is_met({WITNESSES[n] for n in some}) == (len(some) >= least)


APART = ["none", "any 1", "2 of 4", "half of halves", "any of all"]
TOGETHER = ["one", "2 of 3", "3 of 4", "all of 2", "2 of 3 pairs", "one and any"]
SHAPES = {
    "none": "quorum none\n",
    "any 1": "group g any w0 w1\nquorum g\n",
    "2 of 4": "group g 2 w0 w1 w2 w3\nquorum g\n",
    "half of halves": "group a any w0 w1\ngroup b any w2 w3\ngroup g all a b\nquorum g\n",
    "any of all": "group a all w0 w1\ngroup b all w2 w3\ngroup g any a b\nquorum g\n",
    "one": "quorum w2\n",
    "2 of 3": "group g 2 w0 w1 w2\nquorum g\n",
    "3 of 4": "group g 3 w0 w1 w2 w3\nquorum g\n",
    "all of 2": "group g all w0 w1\nquorum g\n",
    "2 of 3 pairs": (
        "group a all w0 w1\ngroup b all w2 w3\ngroup c all w4 w5\ngroup g 2 a b c\nquorum g\n"
    ),
    "one and any": "group a any w0 w1 w2\ngroup g all w3 a\nquorum g\n",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_whether_two_quorums_can_be_apart_is_what_trying_all_of_them_says(shape):
    lines = "".join(f"witness w{n} {WITNESSES[n]}\n" for n in range(6))
    policy = parse_policy(f"{lines}{SHAPES[shape]}".encode())
    together = True
    for some in range(2**6):
        half = [WITNESSES[n] for n in range(6) if some >> n & 1]
        rest = [WITNESSES[n] for n in range(6) if not some >> n & 1]
        together = together and not (policy.is_met(half) and policy.is_met(rest))
        assert policy.is_unmet_without(half) is not policy.is_met(rest)
    assert policy.quorums_meet is together is (shape in TOGETHER)
    assert set(SHAPES) == {*APART, *TOGETHER}
