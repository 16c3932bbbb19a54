"""A phone or a desk that opens pages, and notes what a reader must never meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Debian's chromium without a desktop's windows, where it is there: the same engine of the same build. To draw
# windows that nobody sees is half of what a page costs.
_BARE, _WHOLE = Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium")
CHROMIUM = _BARE if _BARE.exists() else _WHOLE
# Headless chromium says so in its user agent, and robots' looks are not counted.
PHONE = (
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Mobile Safari/537.36"
)
DESKTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/140.0.0.0 Safari/537.36"
)
OTHER_PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)

# A third of what a page costs is the process kept ready for the next one, which a fresh device never
# uses; and a page of ours has nothing to do with who opened it (Cross-Origin-Opener-Policy), for which a
# fresh device's empty page would be thrown away with its process. The last list that chromium is given
# counts, so what playwright turns off is off here too, as far as it has to do with pages or asks somebody
# outside.
_OFF = (
    "SpareRendererForSitePerProcess", "CrossOriginOpenerPolicy",
    "AvoidCorsURLLoaderRestartOnRedirect", "AvoidUnnecessaryBeforeUnloadCheckSync",
    "HttpsFirstBalancedModeAutoEnable", "HttpsUpgrades", "LensOverlay", "MediaRouter",
    "NetworkTimeServiceQuerying", "OptimizationHints", "PaintHolding", "PreconnectToSearch",
    "ThirdPartyStoragePartitioning", "Translate",
)  # fmt: skip
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--in-process-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    f"--disable-features={','.join(_OFF)}",
]  # fmt: skip


@contextmanager
def launched() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def another(browser: Any, *arguments: str) -> Iterator[Any]:
    """Yields a browser beside a first one, started with further arguments: the whole one, with cameras."""
    started = browser.browser_type.launch(
        executable_path=str(_WHOLE), args=[*_ARGUMENTS, *arguments]
    )
    try:
        yield started
    finally:
        started.close()


@dataclass
class Noted:
    """What happened while pages were open. sent: bytes of page and style, by address, where weighed.

    addresses: every address that was asked, in order, as a history or a server's log keeps it.
    flaws: complaints that are right for no page: what its Content-Security-Policy forbade, and errors
    of its scripts. Who opened it fails by them, whether a test asks for complaints or not.
    """

    hosts: set[str] = field(default_factory=set)
    addresses: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)


@contextmanager
def opened(
    browser: Any,
    *,
    lang: str = "zh",
    agent: str = PHONE,
    script: bool = False,
    weighed: bool = False,
    **more: Any,
) -> Iterator[tuple[Any, Noted]]:
    """Yields a page of a fresh device and what is noted of it; without script unless asked for.

    weighed: the bytes of every answer are fetched from the browser a second time, and counted.
    Fails by a flaw of any page that was open, unless something failed before.
    """
    context = browser.new_context(**{
        "locale": "zh-CN" if lang == "zh" else "en-GB",
        "user_agent": agent,
        "java_script_enabled": script,
        "viewport": {"width": 390, "height": 844},
        "reduced_motion": "reduce",
        **more,
    })  # fmt: skip
    context.set_default_timeout(20_000)
    page, noted = context.new_page(), Noted()
    page.on("request", lambda request: _note_address(noted, request.url))
    # A broken Content-Security-Policy is told on the console, as an error.
    page.on("console", lambda told: _note_console(noted, told))
    page.on("pageerror", lambda error: _note_flaw(noted, str(error)))
    page.on("requestfailed", lambda request: _note_failure(noted, request))
    if weighed:
        page.on("response", lambda response: _note_size(noted, response))
    try:
        yield page, noted
    finally:
        context.close()
    assert noted.flaws == [], noted.flaws


def _note_address(noted: Noted, url: str) -> None:
    noted.hosts.add(urlsplit(url).netloc)
    noted.addresses.append(url)


def _note_console(noted: Noted, told: Any) -> None:
    if told.type in ("error", "warning"):
        if "Content Security Policy" in told.text:
            _note_flaw(noted, told.text)
        else:
            noted.complaints.append(told.text)


def _note_flaw(noted: Noted, said: str) -> None:
    noted.complaints.append(said)
    noted.flaws.append(said)


def _note_failure(noted: Noted, request: Any) -> None:
    # Whether the next page cuts off what the one before still fetches for itself is chance; no server can
    # bring this failure about, and what is not allowed to be fetched fails by another name.
    by_page = request.resource_type != "document"
    if not (by_page and request.failure == "net::ERR_ABORTED"):
        noted.complaints.append(f"failed: {request.url}")


def _note_size(noted: Noted, response: Any) -> None:
    from playwright.sync_api import Error

    # The body of what was only fetched ahead is not kept: reading it would fetch it again.
    ahead = "sec-purpose" in response.request.headers
    if response.status < 300 and response.request.method == "GET" and not ahead:
        # A page that is left at once takes unread bodies with it; who weighs a page waits for it.
        with suppress(Error):
            noted.sent[response.url] = len(response.body())
