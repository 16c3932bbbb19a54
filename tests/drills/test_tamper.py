"""The tamper drill: eight ways to change the database behind the service's back, all of them found.

Once with the service stopped, and started again afterwards; once while it runs. A drill says how long
page, score and ranking took to follow (`pytest -rP`).
"""

from __future__ import annotations

import shutil
import time

import pytest

from tests.databases import DATABASES
from tests.drills.deployment import wait_until
from tests.drills.tampering import (
    REHASHED_WITH_LEAVES,
    TAMPERINGS,
    Saved,
    Tampering,
    tamper,
    tamper_by_shell,
)
from tests.drills.trade import GTIN, SHOP, STALL, Trade

# The audit goes round every second or so; the rest is for machines that do other things too: the worker
# gives way to all of them.
FOLLOWS_WITHIN_S = 180
HELD = 50

by_name = pytest.mark.parametrize("how", TAMPERINGS, ids=lambda how: how.name.replace(" ", "_"))


def victims(trade: Trade) -> tuple[str, str]:
    return trade.units[SHOP][4], trade.units[SHOP][9]


def expected(how: Tampering, codes: tuple[str, str]) -> set[tuple[str, int | None]]:
    return {("log", None)} if how.on_log else {(codes[n], seq) for n, seq in how.places}


def check_audit(trade: Trade, how: Tampering, codes: tuple[str, str]) -> None:
    """`suxin audit` names the places that were touched, and nothing else."""
    code, told = trade.place.audit()
    assert code == 1
    assert {(f["stream"], f.get("seq")) for f in told["findings"]} == expected(how, codes)
    assert len(told["findings"]) == len(expected(how, codes)), told["findings"]
    family = "log." if how.on_log else "integrity."
    assert all(f["kind"].startswith(family) and f["detail"] is not None for f in told["findings"])


def check_held(trade: Trade, how: Tampering) -> None:
    """The shop's score holds 50 a finding, shown apart; no other party's score moved."""
    credit = trade.credit(SHOP)
    held = 0 if how.on_log else HELD * len(how.places)
    assert (credit["score_without_holds"], credit["score"]) == (705, 705 - held)
    assert [hold["points"] for hold in credit["holds"]] == [HELD] * (held // HELD)
    stall = trade.credit(STALL)
    assert (stall["score"], stall["score_without_holds"], stall["holds"]) == (703, 703, [])


def check_findings(trade: Trade, how: Tampering, codes: tuple[str, str]) -> None:
    found = trade.findings(status="open")
    assert {(f["stream"], f.get("seq")) for f in found} == expected(how, codes)
    assert {f.get("party") for f in found} == {None if how.on_log else SHOP}
    assert all(f["evidence"] for f in found if f["kind"] != "integrity.record_missing")


def check_pages(trade: Trade, how: Tampering, codes: tuple[str, str]) -> None:
    broken = {codes[n] for n, _ in how.places}
    for code in (*codes, trade.units[SHOP][0], trade.units[STALL][0]):
        verdict = "broken" if code in broken else "intact"
        assert f"verdict-{verdict}" in trade.page(code), (code, verdict)
        assert trade.verdict(code) == verdict


def is_boosted(trade: Trade) -> bool:
    return trade.offer(SHOP)["boost"] > 0


def has_followed(trade: Trade, how: Tampering) -> bool:
    held = HELD * len(how.places)
    return trade.credit(SHOP)["score"] == 705 - held and not is_boosted(trade)


def is_healed(trade: Trade) -> bool:
    if trade.findings(status="open") or not is_boosted(trade):
        return False
    return bool(trade.credit(SHOP)["score"] == 705)


def check_ranking(trade: Trade, how: Tampering) -> None:
    offer = trade.offer(SHOP)
    assert offer["why"]["integrity"] == (1 if how.on_log else 0)
    assert (offer["boost"] > 0) == how.on_log
    assert trade.offer(STALL)["why"]["integrity"] == 1


@by_name
def test_tampered_while_stopped_is_found_and_follows_after_a_start(market: Trade, how: Tampering):
    codes = victims(market)
    tamper(market.place.database_url, how, codes)
    check_audit(market, how, codes)
    market.place.serve()
    # Nobody opens a page: the service's own audit has to meet it.
    follow_by_themselves(market, how)
    check_held(market, how)
    check_ranking(market, how)
    check_findings(market, how, codes)
    check_pages(market, how, codes)
    check_audit(market, how, codes)


@by_name
def test_tampered_while_serving_is_found_at_once_and_heals_when_put_back(
    served: Trade, how: Tampering
):
    codes = victims(served)
    assert is_boosted(served)
    # A tile that grows is made again from its leaves, which would undo what is done to it here.
    served.place.wait_settled()
    saved = Saved(served.place.database_url, codes, tiles=how.on_log)
    tamper(served.place.database_url, how, codes)
    begun = time.monotonic()
    try:
        if not how.on_log:
            # Not remembered but computed: broken before any audit came round.
            for n, _ in how.places:
                assert "verdict-broken" in served.page(codes[n])
            print(f"{how.name}: page after {time.monotonic() - begun:.2f} s")
            # What a look finds needs no audit to be known, only somebody who writes it down.
            wait_until(lambda: has_followed(served, how), "score and ranking follow the look")
            check_held(served, how)
            check_ranking(served, how)
            print(f"{how.name}: score and ranking after {time.monotonic() - begun:.2f} s")
        follow_by_themselves(served, how)
        check_audit(served, how, codes)
        check_pages(served, how, codes)
        check_held(served, how)
        check_ranking(served, how)
        check_findings(served, how, codes)
    finally:
        saved.restore()
    took = wait_until(lambda: is_healed(served), "findings close and the hold is lifted")
    print(f"{how.name}: closed {took:.2f} s after it was put back")
    assert is_boosted(served)
    assert served.verdict(codes[0]) == "intact"
    code, told = served.place.audit()
    assert (code, told["findings"]) == (0, [])


def test_rewritten_leaves_do_not_hide_a_rewritten_stream(market: Trade):
    how, codes = REHASHED_WITH_LEAVES, victims(market)
    tamper(market.place.database_url, how, codes)
    check_audit(market, how, codes)
    market.place.serve()
    wait_until(lambda: not is_boosted(market), "ranking follows", timeout_s=FOLLOWS_WITHIN_S)
    check_pages(market, how, codes)
    assert {f["stream"] for f in market.findings(status="open")} == {codes[0]}
    credit = market.credit(SHOP)
    # However much is held, it costs one grade at most.
    assert (credit["score_without_holds"], credit["grade"]) == (705, "C")


def follow_by_themselves(trade: Trade, how: Tampering) -> None:
    """Waits until the auditor has seen it, asking nothing that would make anybody look."""
    if how.on_log:
        took = wait_until(
            lambda: len(trade.findings(kind="log", status="open")) == 1,
            "the auditor finds the tile", timeout_s=FOLLOWS_WITHIN_S,
        )  # fmt: skip
        print(f"{how.name}: on the log after {took:.2f} s")
        return
    took = wait_until(
        lambda: has_followed(trade, how),
        "score and ranking follow by themselves", timeout_s=FOLLOWS_WITHIN_S,
    )  # fmt: skip
    print(f"{how.name}: score and ranking by the auditor after {took:.2f} s")


def test_score_and_ranking_of_a_running_service_follow_although_nobody_looks(served: Trade):
    how = TAMPERINGS[0]
    saved = Saved(served.place.database_url, victims(served))
    tamper(served.place.database_url, how, victims(served))
    try:
        follow_by_themselves(served, how)
    finally:
        saved.restore()
    wait_until(lambda: is_healed(served), "findings close and the hold is lifted")


@pytest.mark.sqlite_only("what its own command does to a BLOB")
def test_a_body_changed_by_the_sqlite3_command_is_found_although_it_became_text(served: Trade):
    if shutil.which("sqlite3") is None:
        pytest.skip("the sqlite3 command is not on this machine (apt-get install sqlite3)")
    how = TAMPERINGS[0]
    codes = victims(served)
    saved = Saved(served.place.database_url, codes)
    tamper_by_shell(served.place.database, codes[0])
    try:
        check_audit(served, how, codes)
        follow_by_themselves(served, how)
        check_pages(served, how, codes)
        check_findings(served, how, codes)
    finally:
        saved.restore()
    wait_until(lambda: is_healed(served), "findings close and the hold is lifted")


def test_an_audit_of_one_code_says_done_only_when_score_and_ranking_followed(served: Trade):
    how = TAMPERINGS[2]
    codes = victims(served)
    saved = Saved(served.place.database_url, codes)
    tamper(served.place.database_url, how, codes)
    try:
        body, token = {"scope": {"code": codes[0]}}, served.place.admin
        asked = served.place.call("POST", "/api/v1/audits", body, token=token, expect=202).json()
        path = f"/api/v1/audits/{asked['id']}"
        wait_until(
            lambda: served.place.get(path, token=token)["status"] == "done", "the audit ends"
        )
        told = served.place.get(path, token=token)
        assert (told["streams"], told["findings"]) == (1, 1)
        check_held(served, how)
        check_ranking(served, how)
    finally:
        saved.restore()
    wait_until(lambda: is_healed(served), "findings close and the hold is lifted")


# ---------------------------------------------------------------- what must not start


def grow(trade: Trade) -> None:
    """Serves, and signs a log that is larger than before."""
    trade.place.serve()
    trade.complete(STALL, 1)
    trade.place.wait_published()
    trade.place.stop()


def check_refused(trade: Trade, *words: str) -> None:
    """`serve` ends at once with exit 2 and one sentence, and changes nothing."""
    before = (trade.place.keys_dir / "anchor").read_bytes()
    done = trade.place.suxin("serve", "--port", "0")
    assert done.code == 2, done
    (sentence,) = done.err.strip().splitlines()
    for word in words:
        assert word in sentence, sentence
    assert "Traceback" not in done.err
    assert (trade.place.keys_dir / "anchor").read_bytes() == before


def read_state(trade: Trade) -> tuple[int, bytes]:
    with trade.place.opened() as run:
        ((size, root),) = run("SELECT size, root FROM log_state")
    return size, bytes(root)


@pytest.mark.parametrize("forget", [False, True], ids=["as_it_was", "without_its_checkpoints"])
def test_an_old_copy_of_the_database_is_not_served(market: Trade, tmp_path, forget):
    old = DATABASES.copy(market.place.database_url, tmp_path / "old")
    grow(market)
    # Its second line; the database may already hold what was not signed yet.
    size = int((market.place.keys_dir / "anchor").read_text("utf-8").splitlines()[1])
    DATABASES.put_back(market.place.database_url, old)
    if forget:
        with market.place.opened() as run:
            run("DELETE FROM checkpoint")
    assert read_state(market)[0] < size
    check_refused(market, str(read_state(market)[0]), str(size))


def test_a_tree_that_contradicts_the_anchor_is_not_served(market: Trade):
    size, root = read_state(market)
    with market.place.opened() as run:
        run("UPDATE log_state SET root = ?", bytes(reversed(root)))
        run("DELETE FROM checkpoint")
    check_refused(market, str(size))
    code, told = market.place.audit()
    assert code == 1
    assert {f["stream"] for f in told["findings"]} == {"log"}


def test_without_its_checkpoint_row_the_log_goes_on_from_the_anchor(market: Trade):
    size, _ = read_state(market)
    anchor = (market.place.keys_dir / "anchor").read_text("utf-8")
    with market.place.opened() as run:
        run("DELETE FROM checkpoint")
    market.place.serve()
    assert market.place.call("GET", "/log/checkpoint", expect=200).text == anchor
    assert market.place.get("/api/v1/ledger")["size"] == size
    market.complete(STALL, 1)
    market.place.wait_published()
    assert market.place.get("/api/v1/ledger")["size"] > size
    assert market.place.audit()[0] == 0


def test_another_log_key_does_not_sign_on(market: Trade, tmp_path):
    """Whoever swaps the keys folder, or loses it, does not get a new log by serving."""
    other = market.place.__class__(tmp_path / "other").init()
    shutil.rmtree(market.place.keys_dir)
    shutil.copytree(other.keys_dir, market.place.keys_dir)
    done = market.place.suxin("serve", "--port", "0")
    assert (done.code, len(done.err.strip().splitlines())) == (2, 1), done


def test_the_drill_knows_what_it_ranks(served: Trade):
    """The boost that tampering takes away is there before, and the stall never had one."""
    assert served.offer(SHOP)["boost"] == pytest.approx(0.042)
    assert served.offer(STALL)["boost"] == 0
    assert served.units[SHOP][0].startswith(f"01/{GTIN}/21/")
