"""What a browser says of itself, as people know their devices."""

from __future__ import annotations

import pytest

from app.web.pages.signed.device import device_name

KIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
ANDROID = f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {KIT} Chrome/120.0 Mobile Safari/537.36"
IPHONE = f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {KIT} Version/17.0 Safari/604.1"
WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KIT} Chrome/120.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "en", "zh"),
    [
        (ANDROID, "Chrome on Android", "安卓 · Chrome"),
        (ANDROID + " MicroMessenger/8.0", "WeChat on Android", "安卓 · 微信"),
        (IPHONE, "Safari on iPhone", "iPhone · Safari"),
        (WINDOWS, "Chrome on Windows", "Windows · Chrome"),
        (WINDOWS + " Edg/120.0", "Edge on Windows", "Windows · Edge"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
         "Firefox on Linux", "Linux · Firefox"),
        ("curl/8.0", "curl/8.0", "curl/8.0"),
        ("x" * 200, "x" * 80, "x" * 80),
        ("", "an unknown device", "未知的设备"),
    ],
)  # fmt: skip
def test_a_device_is_called_as_people_call_it(agent, en, zh):
    assert (device_name(agent, "en"), device_name(agent, "zh")) == (en, zh)
