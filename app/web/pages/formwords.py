"""What a form says: its fields, and, as they will be recorded, its words and its id."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from uuid import UUID, uuid5

from starlette.requests import Request

from app.i18n import Lang, in_words, text
from app.trace.ratings import BEST
from app.web.pages.signed.numbers import read_whole

# As the API takes them in a report, and as the fields themselves say.
_MOST_WORDS, _MOST_CONTACT = 2000, 100


async def read_values(request: Request) -> dict[str, str]:
    """Returns the fields of a form, which has no files."""
    return {name: str(value) for name, value in (await request.form(max_files=0)).items()}


def read_words(
    values: Mapping[str, str], lang: Lang, *, required: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """Returns text and contact as they will be sealed, those that were given, and what is wrong.

    They become one line in NFC: a record holds no other, and a keyboard need not know that.
    """
    told, errors = {}, {}
    for name, most in (("text", _MOST_WORDS), ("contact", _MOST_CONTACT)):
        said = unicodedata.normalize("NFC", " ".join(values.get(name, "").split()))
        if said:
            told[name] = said
        if len(said) > most:
            told_of = in_words(lang, {"expected": f"≤ {most}", "got": len(said)})
            errors[name] = text(lang, "field.length", **told_of)
    if required and "text" not in told:
        errors["text"] = text(lang, "field.missing", name="text")
    return told, errors


def read_rating(values: Mapping[str, str]) -> int | None:
    """Returns the rating that was chosen, None where none was. Raises Invalid."""
    said = values.get("rating", "").strip()
    return read_whole(said, "rating", least=1, most=BEST) if said else None


def form_id(values: Mapping[str, str], form: str) -> str | None:
    """Returns the id of what a form says: the same for a double touch or a reload, None without one.

    The forms of a page share what they send, and an id stands once in a chain: so each has its own.
    """
    try:
        return str(uuid5(UUID(values.get("id", "")), form))
    except ValueError:
        return None
