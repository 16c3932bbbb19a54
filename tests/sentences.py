"""What a refusal says to people: a missing sentence or param raises here, as it would at the edge."""

from __future__ import annotations

from app.i18n import LANGUAGES, text
from app.kit.errors import Fault, FieldFault


def explain(fault: Fault) -> list[str]:
    """Returns the fault's sentences in both languages, the field faults' behind its own."""
    found = []
    for lang in LANGUAGES:
        found.append(text(lang, f"fault.{fault.key}", **fault.params))
        found += [
            text(lang, f"field.{error.sentence or error.kind}", **error.params)
            for error in fault.errors
        ]
    return found


def only_error(fault: Fault) -> FieldFault:
    """Returns the one field fault, after seeing that everything about it can be said."""
    explain(fault)
    (error,) = fault.errors
    return error
