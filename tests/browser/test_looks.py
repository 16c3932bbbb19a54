"""That every page there is is looked at: by axe and on every screen, in Chinese and in English."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import product
from pathlib import Path

import pytest

from tests.browser.looked import LANGS, pages, unseen
from tests.browser.phone import opened
from tests.browser.screens import check_screens, look
from tests.drills.processes import ROOT

HERE = Path(__file__).parent


def looks() -> Iterator[tuple[str, str]]:
    """Yields (route, language) of what tests say that they look at; their fixture holds them to it."""
    for path in sorted(HERE.glob("test_*.py")):
        module = import_module(f"tests.browser.{path.stem}")
        for _, test in inspect.getmembers(module, inspect.isfunction):
            marks, langs = getattr(test, "pytestmark", ()), LANGS[:1]
            named = _routes(marks)
            for mark in marks:
                if mark.name == "parametrize":
                    names, values = mark.args
                    named |= _routes(one for value in values for one in getattr(value, "marks", ()))
                    langs = values if names == "lang" else langs
                    if isinstance(names, tuple) and "lang" in names:
                        langs = [value[names.index("lang")] for value in values]
            yield from product(named, langs)


def _routes(marks: Iterable[pytest.Mark]) -> set[str]:
    return {route for mark in marks if mark.name == "looks" for route in mark.args}


def test_every_page_is_looked_at_in_both_languages():
    seen = set(looks())
    assert {(page, lang) for page in pages() for lang in LANGS} - seen == set()
    assert {route for route, _ in seen} - pages() == set(), "no page, or none any more"


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 360, 390, 600, 768, 1024, 1280, 1440])
def test_what_is_wider_than_one_screen_is_found_there(chromium, pictures, width):
    rule = f"@media (width: {width}px) {{ p {{ width: 101vw }} }}"
    html = f"<html lang='en'><title>x</title><style>{rule}</style><h1>x</h1><p>x</p></html>"
    with opened(chromium) as (page, _):
        page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto("http://suxin.example/")
        with pytest.raises(AssertionError, match=f"at {width} px"):
            check_screens(page, pictures, "some")


@pytest.mark.browser
def test_a_page_counts_once_axe_has_seen_it_and_every_screen_has_shown_it(chromium, pictures):
    html = "<html lang='en'><title>x</title><main><h1>x</h1></main></html>"
    with opened(chromium) as (page, _):
        page.route("**/*", lambda route: route.fulfill(body=html, content_type="text/html"))
        page.goto("http://suxin.example/desk/imports/mapping?kind=events")
        assert len(unseen({"/desk/imports/mapping"}, LANGS)) == 4
        look(page, pictures, "some", "en")
        left = {(way, "/desk/imports/mapping", "zh") for way in ("axe", "screens")}
        assert unseen({"/desk/imports/mapping"}, LANGS) == left
        # An address is of the route that names it in full.
        assert len(unseen({"/desk/imports/{job_id}"}, ["en"])) == 2


def test_the_dark_changes_colours_alone():
    """So what is as wide in the light is as wide in the dark, and is measured once."""
    told = "".join(path.read_text("utf-8") for path in (ROOT / "static").rglob("*.css"))
    blocks = re.findall(r"@media \(prefers-color-scheme: \w+\) \{(.*?)\n\}", told, re.DOTALL)
    assert blocks
    rules = [line.strip() for block in blocks for line in block.splitlines() if line.strip(" }")]
    assert {rule for rule in rules if not re.fullmatch(r"--[\w-]+: #[0-9a-f]{6};", rule)} == {
        ":root {"
    }
