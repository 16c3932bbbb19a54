"""Pieces of the scan page that many pages share: each is drawn once for all that say the same.

A piece is a pure function of what the page says of a record or a party. The goods above a unit and
the few parties that sell them are the same again and again; whether it is true, was verified for this
page, before it is asked for here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from jinja2 import Environment
from markupsafe import Markup

from app.web.pages.views import Level, Party, Step

# One and a half kilobytes each.
_MOST: Final = 1_024


class Pieces:
    """The pieces in one language."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._known_step = lru_cache(_MOST)(self._draw_step)
        self._known_party = lru_cache(_MOST)(self._draw_party)

    def step(self, step: Step, following: str, level: Level) -> Markup:
        """Returns a step of the chain. following: status of the one behind it, "" after the last."""
        # What a buyer wrote may be erased, and is then to be nowhere.
        draw = self._draw_step if step.text else self._known_step
        return draw(step, following, level)

    def party(self, party: Party, dossier: str) -> Markup:
        """Returns a party's card. dossier: where more about its credit is, "" where nothing is."""
        return self._known_party(party, dossier)

    def _draw_step(self, step: Step, following: str, level: Level) -> Markup:
        chain: Any = self._environment.get_template("_chain.html").module
        return _without_end(chain.item(step, following, level))

    def _draw_party(self, party: Party, dossier: str) -> Markup:
        template: Any = self._environment.get_template("_party.html").module
        return _without_end(template.card(party, dossier))


def _without_end(drawn: Markup) -> Markup:
    """Returns it without its last line feed: the line that it is put into has one."""
    return Markup(drawn.removesuffix("\n"))  # noqa: S704 - it was markup before
