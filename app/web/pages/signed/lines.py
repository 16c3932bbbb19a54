"""Many values in one field, a line each: which lines are wrong, and why each is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from starlette.requests import Request

from app.i18n import Lang, text
from app.kit.errors import Fault, FieldFault, Invalid
from app.web.pages.answers import lang_of
from app.web.pages.signed.form import Form, Sent, refused
from app.web.problems import say_fault

_SHOWN: Final = 80
_MOST: Final = 20
"""Lines that are told one by one: who has more wrong ones has pasted the wrong thing."""


class Line(NamedTuple):
    """What stands on a line. number: as an editor counts them, from 1; None: nobody typed it."""

    number: int | None
    text: str


class LinesRefused(Invalid):
    """Lines of a field are refused; errors: what is wrong beside them."""

    def __init__(
        self,
        name: str,
        lines: Sequence[tuple[Line, Fault]],
        errors: Sequence[FieldFault] = (),
    ) -> None:
        super().__init__("lines_refused", errors=tuple(errors))
        self.slug = lines[0][1].slug
        self.name = name
        self.lines = lines


def read_lines(form: Form, name: str) -> list[Line]:
    """Returns the values of a field with the lines they stand on; several may stand on one."""
    return [
        Line(number, told)
        for number, line in enumerate(form.raw(name).splitlines(), 1)
        for told in line.split()
    ]


def refused_lines(request: Request, form: Form, fault: LinesRefused) -> Sent:
    """Returns the form as `refused` does, each wrong line told at its field by number, text and reason."""
    lang = lang_of(request, form.text("lang"))
    sent = refused(request, form, fault)
    return replace(
        sent, errors={**sent.errors, fault.name: "\n".join(say_lines(lang, fault.lines))}
    )


def say_lines(lang: Lang, lines: Sequence[tuple[Line, Fault]]) -> list[str]:
    """Returns what is wrong with each of a field's lines, the first of many."""
    said = []
    for line, why in lines[:_MOST]:
        told = {"got": line.text[:_SHOWN], "why": say_fault(why, lang)}
        if line.number is None:
            said.append(text(lang, "form.one", **told))
        else:
            said.append(text(lang, "form.line", line=line.number, **told))
    rest = len(lines) - _MOST
    return [*said, text(lang, "form.lines.rest", count=rest)] if rest > 0 else said
