"""A browser's own word for itself (User-Agent), as people know their devices. Pure, and no proof of anything.

Only what most people use is told apart; whatever else comes is shown as it was sent.
"""

from __future__ import annotations

from app.i18n import Lang, text

# The first that occurs: nearly all of them say Safari and Mozilla too, and Edge says Chrome.
_BROWSERS = (
    ("MicroMessenger/", "wechat"),
    ("AlipayClient/", "alipay"),
    ("HuaweiBrowser/", "huawei"),
    ("MiuiBrowser/", "xiaomi"),
    ("UCBrowser/", "uc"),
    ("MQQBrowser/", "qq"),
    ("QQBrowser/", "qq"),
    ("SamsungBrowser/", "samsung"),
    ("Edg", "edge"),
    ("OPR/", "opera"),
    ("Firefox/", "firefox"),
    ("FxiOS/", "firefox"),
    ("CriOS/", "chrome"),
    ("HeadlessChrome/", "chrome"),
    ("Chrome/", "chrome"),
    ("Safari/", "safari"),
)
_SYSTEMS = (
    ("OpenHarmony", "harmony"),
    ("HarmonyOS", "harmony"),
    ("Android", "android"),
    ("iPhone", "iphone"),
    ("iPad", "ipad"),
    ("Windows", "windows"),
    ("Macintosh", "mac"),
    ("CrOS", "chromeos"),
    ("Linux", "linux"),
)
_SHOWN = 80


def device_name(agent: str, lang: Lang) -> str:
    """Returns `Chrome on Android`, the beginning of what was sent where that is no browser we know."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    if browser is None or system is None:
        return agent[:_SHOWN] or text(lang, "account.agent_unknown")
    return text(
        lang,
        "device.name",
        browser=text(lang, f"device.browser.{browser}"),
        system=text(lang, f"device.system.{system}"),
    )
