"""That somebody sends every form there is, from a phone and from a desk, in real Chromium."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.browser.walks import form_of
from tests.web.form_rows import BUTTONS, FROM_ELSEWHERE, ROWS

HERE = Path(__file__).parent


def walks() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yields each test that walks, with the forms that it says it sends; its fixture holds it to that."""
    for path in sorted(HERE.glob("test_walk_*.py")):
        module = import_module(f"tests.browser.{path.stem}")
        for name, test in inspect.getmembers(module, inspect.isfunction):
            for mark in getattr(test, "pytestmark", ()):
                if mark.name == "walks":
                    assert "walk" in inspect.signature(test).parameters, name
                    yield f"{path.stem}::{name}", mark.args


def test_every_form_is_sent_from_a_phone_and_from_a_desk():
    sent = {form for _, forms in walks() for form in forms}
    routes = {form.split(" ")[0] for form in sent}
    missing = {f"{row.route} {row.do}".strip() for row in ROWS} - sent
    assert missing == set()
    assert (BUTTONS.keys() | FROM_ELSEWHERE) - routes == set()


@pytest.mark.parametrize(
    ("path", "do", "form"),
    [
        ("/desk/findings/F-1", "note", "/desk/findings/{finding} note"),
        ("/desk/parties/9144/lists/black", "", "/desk/parties/{party}/lists/{name}"),
        ("/01/06901234567892/21/A/review", "", "/01/{gtin}/21/{serial}/{form} review"),
        ("/01/06901234567892/21/A", "", "/01/{gtin}/21/{serial}"),
        ("/desk/imports/mapping", "forget", "/desk/imports/mapping forget"),
        ("/api/v1/events", "", None),
    ],
)
def test_a_form_is_called_by_its_route_and_what_it_does(path, do, form):
    assert form_of(path, do) == form
