"""What a refusal says to people: a missing sentence or param raises here, as it would at the edge."""

from __future__ import annotations

from app.i18n import LANGUAGES, in_words, text, worded
from app.kit.errors import Fault, FieldFault


def explain(fault: Fault) -> list[str]:
    """Returns the fault's sentences in both languages, the field faults' behind its own."""
    found = []
    for lang in LANGUAGES:
        told = in_words(lang, fault.params) | worded(lang, fault.params, fault.words)
        found.append(text(lang, f"fault.{fault.key}", **told))
        for error in fault.errors:
            told = in_words(lang, error.params) | worded(lang, error.params, error.words)
            found.append(text(lang, f"field.{error.sentence or error.kind}", **told))
    return found


def only_error(fault: Fault) -> FieldFault:
    """Returns the one field fault, after seeing that everything about it can be said."""
    explain(fault)
    (error,) = fault.errors
    return error
