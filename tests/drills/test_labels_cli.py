"""`suxin labels` beside a running service: what somebody without a browser prints is the same labels."""

from __future__ import annotations

import csv
import io
import json

from app.labels.apart import FEW
from tests.drills.deployment import wait_until
from tests.drills.test_cli import check_refused
from tests.drills.trade import GTIN, SHOP, Trade
from tests.labels.reading import pages, zxing_texts


def ordered(trade: Trade, count: int) -> tuple[str, list[dict[str, str]]]:
    """Returns a batch's id, and the rows of its list, once all its codes are made."""
    token = trade.keys[SHOP]
    body = {"gtin": GTIN, "count": count, "id": f"labels-{count}"}
    trade.place.call("POST", "/api/v1/codes", body, token=token, expect=202)
    path = f"/api/v1/batches/{body['id']}"

    def done() -> bool:
        return trade.place.call("GET", path, token=token).json()["status"] == "done"

    wait_until(done, "codes are made", timeout_s=60)
    text = trade.place.call("GET", f"{path}/codes.csv", token=token).content.decode("utf-8-sig")
    return str(body["id"]), list(csv.DictReader(io.StringIO(text)))


def test_an_operator_prints_sheets_commands_and_lists(served: Trade, tmp_path):
    place = served.place
    batch, rows = ordered(served, 5)
    out = tmp_path / "labels.pdf"
    options = ("--layout", "a4-5x13", "--start", "1", "--offset", "60")
    done = place.suxin("labels", batch, "--out", str(out), *options, "--json")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    assert (told["labels"], told["pages"], told["reprinted"], told["left"]) == (4, 1, 0, 0)
    read = [text for page in pages(out.read_bytes(), dpi=200) for text in zxing_texts(page)]
    assert sorted(read) == sorted(row["uri"] for row in rows[1:])
    zpl = tmp_path / "labels.zpl"
    done = place.suxin("labels", batch, "--out", str(zpl), "--dpi", "300", "--reason", "torn")
    assert (done.code, "4 reprinted" in done.out) == (0, True)
    assert zpl.read_bytes().count(b"^GFA") == 5
    listed = tmp_path / "codes.csv"
    assert place.suxin("labels", batch, "--out", str(listed)).code == 0
    assert list(csv.DictReader(io.StringIO(listed.read_text("utf-8-sig")))) == rows
    path = f"/api/v1/batches/{batch}/prints"
    prints = place.call("GET", path, token=served.keys[SHOP]).json()["items"]
    assert [(one["by"], one["form"], one["again"], one.get("reason")) for one in prints] == [
        ("operator", "pdf", 0, None), ("operator", "zpl-300", 4, "torn"),
    ]  # fmt: skip


def test_what_cannot_be_printed_leaves_no_file(served: Trade, tmp_path):
    place = served.place
    batch, _ = ordered(served, 2)
    for arguments, words in (
        (("no-such-batch", "--out", "x.pdf"), ("no-such-batch",)),
        ((batch, "--out", "x.pdf", "--start", "2"), ("start", "0 to 1")),
        ((batch, "--out", "x.doc"), ("x.doc", ".zpl")),
    ):
        where = [str(tmp_path / one) if one.startswith("x.") else one for one in arguments]
        check_refused(place.suxin("labels", *where), *words)
    assert list(tmp_path.iterdir()) == []


def test_a_large_print_is_the_same_from_the_service_and_from_the_command(served: Trade, tmp_path):
    place = served.place
    batch, rows = ordered(served, FEW + 1)
    out = tmp_path / "labels.pdf"
    done = place.suxin("labels", batch, "--out", str(out), "--lang", "en", "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out)["labels"] == len(rows)
    token = served.keys[SHOP]
    answer = place.call("GET", f"/api/v1/batches/{batch}/labels.pdf?lang=en", token=token)
    assert answer.headers["Suxin-Reprinted"] == str(len(rows))
    assert answer.content == out.read_bytes()
    assert list(tmp_path.iterdir()) == [out]
