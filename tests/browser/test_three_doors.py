"""From the demo and its pages alone: what a merchant, a regulator and a consumer do on one day."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from app.web.pages.camera import decoder_path
from tests.browser import doors
from tests.browser.npm import need

pytestmark = pytest.mark.browser


def test_goods_go_from_a_spreadsheet_through_every_door_to_an_erased_complaint(
    chromium, pictures, tmp_path
):
    need(decoder_path(), "the camera's decoder")
    if not doors.can_be_started():
        pytest.skip("scripts/run would install packages here: run the tests by scripts/test")

    def keep(page, name: str) -> None:
        pictures(page, f"doors-{name.replace(' ', '-')}.png")

    with doors.demo_served(tmp_path) as demo:
        sent = doors.sell_and_send(chromium, demo, tmp_path, keep)
        assert sent.labels.keys() == sent.inner.keys(), (
            "every code that was ordered is on the sheet"
        )
        told, signed_at = doors.subscribe(chromium, demo, keep), doors.now()
        assert doors.push_signatures(told, signed_at) == [(1, 0)] * 2
        assert doors.push_signatures(told, signed_at) == [(0, 1)] * 2, (
            "signed for once, however often pushed"
        )
        for unit in (sent.shipped, sent.scanned):
            assert doors.standing(demo, unit) == ("signed", "intact")

        label = f"{demo.url}/{sent.scanned}"
        found = doors.find_and_prove(chromium, demo, tmp_path, label, keep)
        assert found.altered == urlsplit(demo.shown["broken"]).path[1:]
        told = doors.verify_offline(found, demo, tmp_path)
        assert told["report"][0] == 0, told["report"][1]
        assert told["sold"][0] == 0, told["sold"][1]
        # The package is whole, and says itself that the chain in it is not what was recorded.
        code, words = told["altered"]
        assert code == 1, words
        assert "哈希值与正文不符" in words
        assert f"{found.altered} 第 2 条" in words

        doors.scan_and_speak(chromium, demo, tmp_path, sent, keep)
        assert doors.standing(demo, sent.scanned) == ("signed", "intact"), "erased, and it verifies"
