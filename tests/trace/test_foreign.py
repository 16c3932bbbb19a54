"""Codes that are none of ours."""

from __future__ import annotations

import pytest

from app.trace.foreign import tell_foreign


@pytest.mark.parametrize(
    ("said", "kind", "host"),
    [
        ("https://u.wechat.com/EAmple0code", "wechat", "u.wechat.com"),
        ("http://weixin.qq.com/r/abc", "wechat", "weixin.qq.com"),
        ("WEIXIN://dl/business/?t=x", "wechat", ""),
        ("wxp://f2f0abc", "payment", ""),
        ("HTTPS://QR.ALIPAY.COM/fkx00", "payment", "qr.alipay.com"),
        ("https://payapp.weixin.qq.com/x", "payment", "payapp.weixin.qq.com"),
        ("WIFI:T:WPA;S:shop;P:secret;;", "network", ""),
        ("BEGIN:VCARD\nN:Li", "contact", ""),
        ("tel:12315", "contact", ""),
        ("https://prize.example/?01=6901234567892", "link", "prize.example"),
        # A host that only looks like a known one, and one that hides behind a name before the @.
        ("https://weixin.qq.com.evil.example/", "link", "weixin.qq.com.evil.example"),
        ("https://notweixin.qq.com/", "link", "notweixin.qq.com"),
        ("https://weixin.qq.com@evil.example/x", "link", "evil.example"),
        ("https://[broken/", "text", ""),
        ("恭喜中奖", "text", ""),
        ("", "text", ""),
    ],
)
def test_a_foreign_code_is_told_by_what_it_is(said, kind, host):
    found = tell_foreign(said)
    assert (found.kind, found.host) == (kind, host)
