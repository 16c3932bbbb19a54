"""From the demo and its pages alone: what a merchant, a regulator and a consumer do on one day."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from app.web.pages.camera import decoder_path
from tests.browser import doors

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    with doors.demo_served(tmp_path_factory.mktemp("doors")) as served:
        yield served


@pytest.fixture
def keep(pictures):
    return lambda page, name: pictures(page, f"doors-{name.replace(' ', '-')}.png")


@pytest.mark.skipif(not decoder_path(), reason="npm has not brought the camera's decoder")
def test_goods_go_from_a_spreadsheet_to_a_complaint_and_every_door_sees_it(
    demo, chromium, keep, tmp_path
):
    sent = doors.sell_and_send(chromium, demo, tmp_path, keep)
    assert len(sent.codes) == 3
    assert sent.files["labels"].read_bytes().startswith(b"%PDF")
    assert doors.push_signature(demo) == "recorded"
    assert doors.push_signature(demo) == "ignored", "signed for once, however often it is pushed"
    doors.buy_and_speak(chromium, demo, sent.unit, sent.codes[sent.unit], keep)
    assert doors.verdict(demo, sent.unit) == "intact", "erased, and the chain still verifies"


def test_a_regulator_takes_away_what_holds_without_the_service(demo, chromium, keep, tmp_path):
    found = doors.find_and_prove(chromium, demo, tmp_path, keep)
    altered = urlsplit(demo.shown["broken"]).path
    assert found.files["chain"].as_posix() == f"/desk/chains{altered}"
    told = doors.verify_offline(found, demo, tmp_path)
    assert told["report"][0] == 0, told["report"][1]
    # The package is whole, and says itself that the chain in it is not what was recorded.
    code, words = told["package"]
    assert code == 1, words
    assert "哈希值与正文不符" in words
    assert f"{altered[1:]} 第 2 条" in words
