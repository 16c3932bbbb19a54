"""`suxin credit` as its operator meets it: real processes, exit codes, the way of a package by hand."""

from __future__ import annotations

import json

import pytest

from app.joining import open_store
from tests.drills.deployment import Deployment
from tests.exchange.conftest import SHOP


@pytest.fixture
def store(tmp_path):
    """A deployment that is a store, not served."""
    place = Deployment(tmp_path / "store").init()
    yield place
    place.close()


def test_a_package_is_carried_taken_in_and_its_receipt_carried_back(store, opened, tmp_path):
    folder = tmp_path / "exchange"
    key = store.suxin("credit", "key").out.strip()
    ours = opened(f"file://{folder}", credit_store_key=key)
    ours.use(open_store(ours.settings, ours.rooms.keyring, clock=ours.clock))
    ours.register(SHOP)
    ours.enter(SHOP, "a", "b")
    ours.work()
    (package,) = (folder / "out").iterdir()

    stranger = store.suxin("credit", "import-package", str(package))
    assert stranger.code == 2, "nobody let its sender in"
    assert "import" not in stranger.out
    assert store.suxin("credit", "let-in", "ours", str(ours.signer.vkey)).code == 0
    for _ in range(2):
        done = store.suxin(
            "credit", "import-package", str(package), "--receipts", str(folder / "in")
        )
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("2 stored, 0 refused")
    ours.work()
    assert ours.waiting == 0
    told = json.loads(store.suxin("credit", "senders", "--json").out)["senders"]
    assert [(one["name"], one["key"], one["ended"]) for one in told] == [
        ("ours", str(ours.signer.vkey), None)
    ]
    assert store.suxin("credit", "shut-out", "ours").code == 0
    assert store.suxin("credit", "shut-out", "nobody").code == 2
    assert store.audit()[0] == 0


def test_where_credit_is_kept_nowhere_else_the_commands_say_so(store):
    told = json.loads(store.suxin("credit", "sending", "--json").out)
    assert (told["kind"], told["state"], told["waiting"]) == ("local", "closed", 0)
    done = store.suxin("credit", "dead-letters", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"dead_letters": []})
    assert store.suxin("credit", "resend", "--all").out.startswith("0 dead letters")
    for refused in (("resend",), ("resend", "x", "--all"), ("send-all",), ("compare",)):
        done = store.suxin("credit", *refused)
        assert (done.code, done.out) == (2, ""), refused
        assert "Traceback" not in done.err
