"""What signed-in people put into forms: words for a record, documents beside them, ids of what is sent."""

from __future__ import annotations

import unicodedata
from hashlib import sha256

from starlette.datastructures import UploadFile

from app.credit.documents import Handed
from app.kit.errors import FieldFault, invalid
from app.parties.principal import Principal
from app.web.deps import Rooms
from app.web.pages.formwords import form_id
from app.web.pages.signed.form import Form

MOST_WORDS = 2_000
FILES = ("file", "file2", "file3")
"""Names of a form's file fields."""


def read_said(form: Form, name: str, *, most: int = MOST_WORDS, required: bool = True) -> str:
    """Returns a field's words as a record holds them: one line, NFC. Raises Invalid.

    Lines of a form become one: a keyboard need not know what a canonical text is.
    """
    said = unicodedata.normalize("NFC", " ".join(form.raw(name).split()))
    if required and not said:
        raise invalid(FieldFault((name,), "missing", {"name": name}))
    if len(said) > most:
        raise invalid(FieldFault((name,), "length", {"expected": f"1..{most}", "got": len(said)}))
    return said


def chosen_files(form: Form) -> list[tuple[str, UploadFile]]:
    """Returns the files that were chosen, each by its field."""
    found = ((name, form.files.get(name)) for name in FILES)
    return [(name, file) for name, file in found if file is not None and file.filename]


def hand_in(form: Form, rooms: Rooms, principal: Principal) -> tuple[str, ...]:
    """Returns SHA-256 (hex) of the files that were chosen, kept for the party. Raises as `Documents.keep`."""
    handed = [
        Handed((name,), file.filename or "", file.file.read()) for name, file in chosen_files(form)
    ]
    if not handed:
        return ()
    return tuple(dict.fromkeys(kept.digest for kept, _ in rooms.documents.keep(principal, handed)))


def file_digest(form: Form, name: str) -> str:
    """Returns SHA-256 (hex) of the file in a field, "" where none was chosen; the file is not kept.

    Raises Invalid for a file with nothing in it.
    """
    file = form.files.get(name)
    # A browser sends one without a name where none was chosen.
    if file is None or not file.filename:
        return ""
    raw = file.file.read()
    if not raw:
        raise invalid(FieldFault((name,), "file_empty", {"file": file.filename[:80]}))
    return sha256(raw).hexdigest()


def step_id(form: Form, step: str) -> str | None:
    """Returns the id of the record that a form makes: the same for a form that is sent twice."""
    return form_id({"id": form.text("id")}, step)
