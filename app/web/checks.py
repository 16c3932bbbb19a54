"""What a check of a verification says, in words; pages and API say it alike."""

from __future__ import annotations

from collections.abc import Mapping

from app.i18n import Lang, text


def check_detail(lang: Lang, name: str, params: Mapping[str, object], *, ok: bool | None) -> str:
    """Returns the sentence of one check in the reader's language."""
    standing = {True: "ok", False: "broken", None: "pending"}[ok]
    return text(lang, f"check.{name}.{standing}", **params)
