"""What an authority's entry or listing rests on, as a form says it: public with it, so nothing personal.

The same bounds as of the API (`EvidenceIn`), which has a schema of its own.
"""

from __future__ import annotations

import re
from typing import Any, Final

from app.kit.errors import FieldFault, Invalid, invalid
from app.parties.principal import Principal
from app.web.deps import Rooms
from app.web.pages.signed.form import Form
from app.web.pages.signed.sayings import chosen_files, hand_in, read_said

MOST_LINE: Final = 200
_URL: Final = re.compile(r"https://[!-~]{1,300}")
_LINES: Final = ("number", "issuer")


def read_evidence(
    form: Form, rooms: Rooms, principal: Principal, *, named: tuple[str, ...] = ("finding",)
) -> dict[str, Any]:
    """Returns the evidence of a form, its documents kept. named: fields that name something of ours.

    Raises Invalid at every field that is wrong, and where there is nothing to look up; as `hand_in`.
    """
    told: dict[str, Any] = {}
    faults: list[FieldFault] = []
    for name in ("title", *_LINES):
        try:
            said = read_said(form, name, most=MOST_LINE, required=name == "title")
        except Invalid as wrong:
            faults.extend(wrong.errors)
        else:
            told |= {name: said} if said else {}
    if url := form.text("url"):
        told["url"] = url
        if not _URL.fullmatch(url):
            faults.append(FieldFault(("url",), "url_https", {"got": url[:80]}))
    told |= {name: form.text(name)[:80] for name in named if form.text(name)}
    if not faults and told.keys() <= {"title", "issuer"} and not chosen_files(form):
        faults.append(FieldFault(("number",), "nothing_to_look_up"))
    if faults:
        raise invalid(*faults)
    if digests := hand_in(form, rooms, principal):
        told["attachments"] = list(digests)
    return told


def check_sure(form: Form) -> None:
    """Raises Invalid unless who sent the form says that they have checked what it does."""
    if form.text("sure") != "yes":
        raise invalid(FieldFault(("sure",), "not_sure"))
