"""Every phone a witness: a log that does not continue the one this phone saw is told loudly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.i18n import text
from app.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from app.ledger.keyring import load_keys
from app.ledger.note import NoteSigner, encode_base64
from app.ledger.tiles import append_tiles, consistency_proof_from_tiles
from tests.browser.counter import phone
from tests.browser.measures import check_layout, check_structure
from tests.browser.screens import check_screens
from tests.drills.trade import GTIN, SHOP
from tests.ledger.bundles import ORIGIN, UNIT, VKEY, SmallLog

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("still")]

every = pytest.mark.parametrize("lang", ["zh", "en"])
SEEN = "#watch-told:not(:empty)"
CHECKPOINT = "**/log/checkpoint"
PROOF = "**/api/v1/ledger/consistency?*"
REFUSED_STORAGE = """Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("", "SecurityError"); },
})"""


def url(counter, lang: str = "zh") -> str:
    return counter.url(f"01/{GTIN}", lang)


def look(page, counter, lang: str = "zh") -> None:
    page.goto(url(counter, lang))
    page.locator(SEEN).wait_for()


def glance(page, counter, lang: str = "zh") -> None:
    """Looks where nothing is said of the log: until the page has come to rest."""
    page.goto(url(counter, lang), wait_until="networkidle")
    page.wait_for_timeout(500)


def told(page) -> str:
    return page.locator("#watch-told").inner_text()


def kept(page, name: str = "suxin.logs.1") -> Any:
    return json.loads(page.evaluate("(name) => localStorage.getItem(name)", name) or "null")


def signed_now(counter) -> tuple[str, Checkpoint]:
    note = counter.trade.place.call("GET", "/log/checkpoint").text
    return note, open_checkpoint(note, [load_keys(counter.trade.place.keys_dir).log.vkey])


def sign(counter, *, size: int, root: bytes) -> str:
    """Returns what an operator who forks would sign: with the log's own key."""
    signer = load_keys(counter.trade.place.keys_dir).log
    return sign_checkpoint(Checkpoint(signer.vkey.name, size, root), signer)


def serve(page, note: str, *, proof: list[str] | None = None) -> None:
    """Lets the phone be shown another checkpoint than everybody else."""
    page.route(CHECKPOINT, lambda route: route.fulfill(body=note, content_type="text/plain"))
    if proof is not None:
        page.route(PROOF, lambda route: route.fulfill(json={"from": 1, "to": 2, "hashes": proof}))


def fork(counter, kind: str) -> tuple[str, list[str] | None]:
    """Returns the checkpoint of another log, and the proof that is claimed for it."""
    _, now = signed_now(counter)
    match kind:
        case "smaller":
            return sign(counter, size=now.size - 1, root=b"\x07" * 32), None
        case "root":
            return sign(counter, size=now.size, root=b"\x07" * 32), None
        case "inconsistent":
            proof = [encode_base64(b"\x08" * 32)]
            return sign(counter, size=now.size + 9, root=b"\x07" * 32), proof
        case "key_changed":
            signer = NoteSigner(now.origin, b"\x09" * 32)
            return sign_checkpoint(Checkpoint(now.origin, now.size, now.root), signer), None
        case _:
            signer = NoteSigner(f"{now.origin}/other", b"\x09" * 32)
            note = sign_checkpoint(Checkpoint(signer.vkey.name, 5, now.root), signer)
            return note, None


@every
def test_a_log_that_grew_is_proven_to_have_grown(counter, chromium, lang):
    with phone(chromium, lang=lang, script=True) as (page, noted):
        look(page, counter, lang)
        note, first = signed_now(counter)
        assert told(page) == text(lang, "verify.watch.first", count=first.size)
        (seen,) = kept(page).values()
        assert (seen["note"], seen["size"]) == (note, str(first.size))
        counter.trade.issue(SHOP, 3)
        counter.trade.place.wait_settled()
        look(page, counter, lang)
        note, now = signed_now(counter)
        assert now.size > first.size
        said = told(page)
        assert str(first.size) in said
        assert str(now.size) in said
        assert any("/ledger/consistency?from=" in address for address in noted.addresses)
        (seen,) = kept(page).values()
        assert (seen["note"], seen["first"]["size"]) == (note, str(first.size))
        # Nothing new: nothing to prove, and nothing is asked.
        asked = len([a for a in noted.addresses if "/consistency" in a])
        look(page, counter, lang)
        assert len([a for a in noted.addresses if "/consistency" in a]) == asked
        check_layout(page)
        check_structure(page, lang=lang)
        assert noted.complaints == []


@every
@pytest.mark.parametrize("kind", ["smaller", "root", "inconsistent", "key_changed", "renamed"])
def test_a_fork_is_told_loudly_and_both_notes_are_kept(counter, chromium, pictures, kind, lang):
    with phone(chromium, lang=lang, script=True) as (page, noted):
        look(page, counter, lang)
        before = kept(page)
        (old,) = before.values()
        note, proof = fork(counter, kind)
        if kind == "renamed":
            signer = NoteSigner(note.split("\n", maxsplit=1)[0], b"\x09" * 32)
            page.route("**/log/key", lambda route: route.fulfill(body=f"{signer.vkey}\n"))
        serve(page, note, proof=proof)
        page.goto(url(counter, lang))
        warning = page.locator(".notice-alarm[role=alert]")
        warning.wait_for()
        assert page.locator("#main > *").first.get_attribute("role") == "alert"
        assert warning.locator("h2").inner_text() == text(lang, f"verify.watch.{kind}")
        assert text(lang, "verify.watch.do") in warning.inner_text()
        assert told(page) == ""
        assert kept(page) == before
        with page.expect_download() as download:
            warning.get_by_role("link").click()
        saved = json.loads(download.value.path().read_text("utf-8"))
        assert (saved["format"], saved["kind"]) == ("suxin-fork/1", kind)
        assert (saved["old"]["note"], saved["new"]["note"]) == (old["note"], note)
        if kind == "smaller":  # the service's own, from the smaller size: it does not begin so
            size = int(old["size"])
            assert (saved["proof"]["from"], saved["proof"]["to"]) == (str(size - 1), str(size))
        else:
            assert saved.get("proof", {}).get("hashes") == proof
        check_screens(page, pictures, f"alarm-{kind}-{lang}", full_page=False)
        # Showing the first log again does not make it unseen.
        page.unroute(CHECKPOINT)
        look(page, counter, lang)
        assert warning.locator("h2").all_inner_texts() == [text(lang, f"verify.watch.{kind}")]
        check_structure(page, lang=lang)
        assert noted.complaints == []


def test_the_same_fork_is_one_warning_and_another_is_a_second(counter, chromium):
    with phone(chromium, script=True) as (page, _):
        look(page, counter)
        for note in (
            fork(counter, "root")[0],
            fork(counter, "root")[0],
            fork(counter, "smaller")[0],
        ):
            serve(page, note)
            page.goto(url(counter))
            page.locator(".notice-alarm").first.wait_for()
            page.unroute(CHECKPOINT)
        assert page.locator(".notice-alarm h2").all_inner_texts() == [
            text("zh", "verify.watch.smaller"), text("zh", "verify.watch.root")
        ]  # fmt: skip
        assert len(kept(page, "suxin.alarms.1")) == 2


@pytest.mark.parametrize(
    "failing",
    [
        lambda route: route.abort(),
        lambda route: route.fulfill(status=503, body="{}"),
        lambda route: route.fulfill(body="<!doctype html><p>Please log in to this network</p>"),
        lambda route: route.fulfill(body="suxin.test/log\n09\nAAAA\n\n— suxin.test/log AAAAAAAA\n"),
    ],
    ids=["cut off", "in error", "a network's login page", "no checkpoint"],
)
def test_what_does_not_arrive_is_silence_and_no_word_that_all_is_well(counter, chromium, failing):
    with phone(chromium, script=True) as (page, _):
        page.route(CHECKPOINT, failing)
        glance(page, counter)
        assert (told(page), page.locator(".notice-alarm").count()) == ("", 0)
        assert kept(page) is None
        page.unroute(CHECKPOINT)
        look(page, counter)
        before = kept(page)
        page.route(CHECKPOINT, failing)
        glance(page, counter)
        assert (told(page), page.locator(".notice-alarm").count()) == ("", 0)
        assert kept(page) == before


def test_a_proof_that_does_not_arrive_leaves_the_old_checkpoint(counter, chromium):
    with phone(chromium, script=True) as (page, _):
        look(page, counter)
        before = kept(page)
        counter.trade.issue(SHOP, 1)
        counter.trade.place.wait_settled()
        page.route(PROOF, lambda route: route.fulfill(status=503, body="{}"))
        glance(page, counter)
        assert (told(page), page.locator(".notice-alarm").count()) == ("", 0)
        assert kept(page) == before
        page.unroute(PROOF)
        look(page, counter)
        assert kept(page) != before


def test_a_browser_that_keeps_nothing_is_no_error(counter, chromium):
    with phone(chromium, lang="en", script=True) as (page, noted):
        page.add_init_script(REFUSED_STORAGE)
        glance(page, counter, "en")
        assert (told(page), page.locator(".notice-alarm").count()) == ("", 0)
        page.locator("#self button").click()
        page.get_by_text(text("en", "verify.check.relies_unkept")).wait_for()
        assert text("en", "bundle.verdict_matches") in page.locator(".beside").inner_text()
        assert noted.complaints == []


def test_whoever_saves_data_is_asked_for_none(counter, chromium):
    with phone(chromium, script=True) as (page, noted):
        page.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'connection', {get: () => ({saveData: true})})"
        )
        glance(page, counter)
        assert not [a for a in noted.addresses if "/log/" in a or "crypto.js" in a]
        page.locator("#self button").click()
        page.locator(".beside").wait_for()


def test_the_page_can_be_read_before_any_of_it_is_loaded(counter, chromium):
    """On a bad line the modules come last, and little of them."""
    with phone(chromium, script=True, weighed=True) as (page, noted):
        look(page, counter)
        asked = [address.split("?")[0].rsplit("/", 1)[1] for address in noted.addresses]
        assert asked.index("scan.js") < asked.index("watch.js")
        assert "bundle.js" not in asked
        page.wait_for_load_state("networkidle")
        own = sum(size for address, size in noted.sent.items() if "/verify" in address)
        assert own < 43_000, noted.sent
        assert sum(noted.sent.values()) < 110_000, noted.sent


# ---------------------------------------------------------------- the log goes on under another key


class Rotated:
    """A log that ended and the one that goes on from it, as a phone is shown them."""

    def __init__(self, **told: str) -> None:
        self.old, self.new = SmallLog(origin=ORIGIN), SmallLog(origin=NEW.vkey.name)
        for n in range(5):
            self.old.add(UNIT, "registration" if n == 0 else "review")
        self.before = self.old.checkpoint()
        self.size = len(self.old.leaves())
        said = {"origin": NEW.vkey.name, "key": str(NEW.vkey)} | told
        self.rotated = self.old.add("log/heads", "rotated", said, actor="system")
        self.new.add(
            "log/heads", "continued", {"origin": ORIGIN, "key": VKEY}, actor="system", seq=1
        )

    def evidence(self) -> dict[str, Any]:
        """Returns the hand-overs as the service tells them."""
        bundle = self.old.bundle("log/heads", "log/heads")
        bundle["checkpoints"].append(
            {"origin": self.new.origin, "key": str(NEW.vkey), "note": self.new.checkpoint(NEW)}
        )
        return {name: bundle[name] for name in ("streams", "checkpoints")}

    def proof(self) -> list[str]:
        leaves = [leaf.hash for leaf in self.old.leaves()]
        tiles = append_tiles(0, leaves, lambda *_: None)
        hashes = consistency_proof_from_tiles(self.size, len(leaves), lambda *at: tiles.get(at))
        return [encode_base64(one) for one in hashes]


HANDOVERS = "**/api/v1/ledger/handovers"
NEW = NoteSigner(f"{ORIGIN}/2027", b"\x0a" * 32)
OTHER = NoteSigner(f"{ORIGIN}/2027", b"\x0b" * 32)


def meet_old_log(page, counter, rotated: Rotated) -> Any:
    """Lets the phone know the old log; returns what it keeps of it."""
    page.route("**/log/key", lambda route: route.fulfill(body=f"{VKEY}\n"))
    serve(page, rotated.before)
    look(page, counter)
    page.unroute(CHECKPOINT)
    page.unroute("**/log/key")
    page.route("**/log/key", lambda route: route.fulfill(body=f"{NEW.vkey}\n"))
    serve(page, rotated.new.checkpoint(NEW), proof=rotated.proof())
    return kept(page)


def test_a_log_that_was_handed_over_is_followed(counter, chromium):
    rotated = Rotated()
    with phone(chromium, script=True) as (page, noted):
        before = meet_old_log(page, counter, rotated)
        page.route(HANDOVERS, lambda route: route.fulfill(json=rotated.evidence()))
        look(page, counter)
        assert page.locator(".notice-alarm").count() == 0
        assert set(kept(page)) == {*before, NEW.vkey.name}
        assert [key["how"] for key in kept(page, "suxin.keys.1")] == ["seen", "handed"]
        assert any(address.endswith("&log=0") for address in noted.addresses)
        # From now on it is known as any other.
        page.unroute(HANDOVERS)
        look(page, counter)
        assert page.locator(".notice-alarm").count() == 0
        assert noted.complaints == []


@pytest.mark.parametrize(
    "flaw", ["names another key", "not proven", "not there", "old log differs"]
)
def test_a_log_without_a_true_hand_over_is_told(counter, chromium, flaw):
    rotated = Rotated(**({"key": str(OTHER.vkey)} if flaw == "names another key" else {}))
    told = rotated.evidence()
    if flaw == "not proven":
        told["streams"][0]["records"][0]["inclusion"].pop()
    with phone(chromium, script=True) as (page, _):
        before = meet_old_log(page, counter, rotated)
        if flaw == "old log differs":
            page.unroute(PROOF)
            serve(page, rotated.new.checkpoint(NEW), proof=[encode_base64(bytes(32))])
        status = 404 if flaw == "not there" else 200
        page.route(HANDOVERS, lambda route: route.fulfill(json=told, status=status))
        page.goto(url(counter))
        warning = page.locator(".notice-alarm h2")
        warning.wait_for()
        kind = "inconsistent" if flaw == "old log differs" else "renamed"
        assert warning.inner_text() == text("zh", f"verify.watch.{kind}")
        assert kept(page) == before
        assert [key["how"] for key in kept(page, "suxin.keys.1")] == ["seen"]


def test_a_hand_over_that_does_not_arrive_is_silence(counter, chromium):
    with phone(chromium, script=True) as (page, _):
        before = meet_old_log(page, counter, Rotated())
        page.route(HANDOVERS, lambda route: route.abort())
        glance(page, counter)
        assert (told(page), page.locator(".notice-alarm").count()) == ("", 0)
        assert kept(page) == before
