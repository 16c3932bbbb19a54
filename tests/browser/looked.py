"""Which pages a test has looked at: by axe, and on every screen; each by its route, and in a language.

A test names by `looks` the routes whose pages it looks at, and its fixture holds it to that;
tests/browser/test_looks.py asks that every page there is is named, in both languages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from fastapi.routing import iter_route_contexts

from app.config import Settings
from app.main import create_app
from tests.web.no_pages import NO_PAGES

WAYS = ("axe", "screens")
LANGS = ("zh", "en")
# What else is served is for programs, and made by rooms that no template is in (pyproject: floors).
_ROOMS = ("app.web.pages", "app.web.docs")
_TOLD = {"zh-CN": "zh", "en": "en"}

_seen: set[tuple[str, str, str]] = set()


@cache
def pages() -> frozenset[str]:
    """Returns the routes that answer a page to a reader who opens them."""
    asked = {
        route.path
        for route in iter_route_contexts(create_app(Settings()).routes)
        if "GET" in (route.methods or ()) and route.endpoint.__module__.startswith(_ROOMS)
    }
    assert asked >= NO_PAGES.keys(), NO_PAGES.keys() - asked
    return frozenset(asked - NO_PAGES.keys())


def note(way: str, page: Any) -> None:
    """Remembers that a page was looked at, in the language that it is in."""
    lang = page.evaluate("document.documentElement.lang")
    _seen.add((way, urlsplit(page.url).path, _TOLD[lang]))


def forget() -> None:
    """Begins anew, with nothing looked at."""
    _seen.clear()


def unseen(routes: Iterable[str], langs: Iterable[str]) -> set[tuple[str, str, str]]:
    """Returns (way, route, language) of what of these nobody looked at."""
    seen = {(way, _route_of(path), lang) for way, path, lang in _seen}
    return {(way, route, lang) for way in WAYS for route in routes for lang in langs} - seen


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    # What is named in full comes before what any name fits.
    return {
        route: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route)))
        for route in sorted(pages(), key=lambda route: route.count("{"))
    }


def _route_of(path: str) -> str | None:
    return next((route for route, one in _patterns().items() if one.fullmatch(path)), None)
