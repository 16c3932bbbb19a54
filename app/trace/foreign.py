"""Codes that are none of ours, told apart by their first characters, so that a page can say what they are.

People scan what they find on a parcel: the shop's bar code, a WeChat contact, a link to win something.
Nothing here is opened, and of a link only the host is ever shown. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

ForeignKind = Literal["wechat", "payment", "network", "contact", "link", "text"]

_WECHAT_HOSTS = ("weixin.qq.com", "wechat.com", "work.weixin.qq.com", "mp.weixin.qq.com")
_PAYMENT_HOSTS = ("qr.alipay.com", "qr.95516.com", "wx.tenpay.com", "payapp.weixin.qq.com")
_SCHEMES: dict[str, ForeignKind] = {
    "weixin:": "wechat",
    "wxp:": "payment",
    "alipays:": "payment",
    "wifi:": "network",
    "begin:vcard": "contact",
    "mecard:": "contact",
    "tel:": "contact",
    "mailto:": "contact",
}


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a text is that names no goods. host: of a link, "" for everything else."""

    kind: ForeignKind
    host: str = ""


def tell_foreign(text: str) -> Foreign:
    """Returns what a text is in which `parse_code` finds no code."""
    told = text.strip().lower()
    for start, kind in _SCHEMES.items():
        if told.startswith(start):
            return Foreign(kind)
    if not told.startswith(("http://", "https://")):
        return Foreign("text")
    try:
        host = (urlsplit(told).hostname or "")[:80]
    except ValueError:
        return Foreign("text")
    if _is_of(host, _PAYMENT_HOSTS):
        return Foreign("payment", host)
    if _is_of(host, _WECHAT_HOSTS):
        return Foreign("wechat", host)
    return Foreign("link", host)


def _is_of(host: str, known: tuple[str, ...]) -> bool:
    return any(host == one or host.endswith(f".{one}") for one in known)
