"""Evidence judged by a policy in real Chromium: the same quorum, the same report as Python's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.ledger.bundle import verify_bundle_bytes
from tests.browser.modules import report_texts, served_modules
from tests.browser.phone import opened
from tests.ledger.bundles import OTHER_LOG_KEY, VKEY

policies = pytest.importorskip("tests.scripts.test_verify_policy")
pytestmark = pytest.mark.browser

QUORUMS = [
    ("two", (0, 1)), ("two", (2, 0, 1)), ("two", (1,)), ("two", (1, 1)), ("two", ()), ("w2", (2,)),
    ("w2", (0, 1)), ("none", ()), ("none", (1,)),
]  # fmt: skip


@pytest.fixture(scope="module")
def bare(chromium) -> Iterator[Any]:
    with served_modules() as url, opened(chromium, lang="en", script=True) as (page, noted):
        page.goto(url)
        yield page
        assert noted.complaints == []


def check_same(page: Any, cases: list[tuple[bytes, bytes, str | None]]) -> list[dict]:
    told = report_texts(page, [(raw, vkey, asked) for raw, asked, vkey in cases])
    reports = [json.loads(text) for text in told]
    for (raw, asked, vkey), report in zip(cases, reports, strict=True):
        assert report == verify_bundle_bytes(raw, vkey=vkey, policy=asked).as_json(), asked[:80]
    return reports


def test_a_checkpoint_bears_the_quorum_or_the_evidence_is_false(bare):
    cases = [
        (policies.cosigned(*numbers), policies.policy(quorum), None) for quorum, numbers in QUORUMS
    ]
    wanted = [0, 0, 1, 1, 1, 0, 1, 0, 0]
    assert [report["exit_code"] for report in check_same(bare, cases)] == wanted


def test_nested_groups_and_thresholds_are_counted_alike(bare):
    nested = policies.policy("two").replace(b"quorum two", b"group g all two w0\nquorum g")
    cases = []
    for least in (1, 2, 3):
        raw = policies.policy("two").replace(b"two 2", b"two %d" % least)
        cases += [(policies.cosigned(*range(n)), raw, None) for n in range(4)]
    check_same(bare, [*cases, (policies.cosigned(0, 1), nested, None)])


def test_false_cosignatures_and_other_logs_are_judged_alike(bare):
    two = policies.policy("two")
    key = policies.COSIGNERS[2].vkey
    bad = [
        str(policies.SignatureLine(key.name, key.key_id, blob))
        for blob in (b"\0" * 72, b"\0" * 8, b"\xff" * 72)
    ]
    cases = [(policies.cosigned(0, 1, also=line), two, None) for line in bad]
    cases += [(policies.cosigned(0, 1, text="suxin.test/log\n1\nAAAA\n"), two, None)]
    for log in (VKEY, str(OTHER_LOG_KEY.vkey), ""):
        for vkey in (None, VKEY):
            cases.append((policies.cosigned(0, 1), policies.policy("two", log=log), vkey))
    check_same(bare, cases)


def test_a_policy_that_cannot_be_read_is_said_with_its_line(bare):
    odd = [
        "",
        "quorum none",
        "# x\n\t quorum none \n",
        "quorum none\r\n",
        "quorum none\nx",
        "\u00e9",
    ]
    texts = [text.encode() for text, _ in policies.REFUSED.values()] + [o.encode() for o in odd]
    texts += [b"\xff\n", b"quorum \xff\n", b"#" * 1_000_001]
    reports = check_same(bare, [(policies.cosigned(0, 1), raw, None) for raw in texts])
    for (_, line), report in zip(policies.REFUSED.values(), reports, strict=False):
        assert report["broken"][0]["params"] == {"line": line}
