"""Forms of signed-in people: checked for whence they come, drawn again where they are refused.

Two locks against forms that another site sends with this one's cookie: the browser's own word about where
a form stood (Sec-Fetch-Site, Origin), and a token of the session in the form. Before somebody signs in
there is no session; there the first holds alone.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final
from uuid import UUID

from fastapi import Depends
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request

from app.i18n import Lang, text
from app.kit.errors import Denied, Fault, Malformed
from app.parties.sessions import SignedIn
from app.trace.typed import plainly
from app.web.deps import InRooms, Rooms
from app.web.pages.answers import lang_of
from app.web.pages.signed.session import InSigned, MaybeSigned, own_hosts, split_told
from app.web.problems import describe, say_left_out
from app.web.upload import InMemory
from app.web.visit import visit_of

TOKEN_FIELD = "csrf"  # noqa: S105 - the field's name
SECRETS: Final = frozenset(
    {"password", "old_password", "second_code", "second_secret", TOKEN_FIELD}
)
"""Fields that no page ever shows again. No other field has such a name: what they hold is in the name."""
_ONCE: Final = frozenset({"id", "entry", "record", "sending"})
"""Fields by which a form that is sent twice counts once."""
_MOST_FIELDS = 1_000


class FormForeign(Denied):
    """The form does not come from a page of ours, or from one of another session."""


@dataclass(frozen=True, slots=True)
class Form:
    """What was posted. Of a name that came several times, `many` has all and the others the last."""

    items: tuple[tuple[str, str], ...]
    files: Mapping[str, UploadFile] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Returns a field without spaces at its ends, "" where it is not there."""
        return self.raw(name).strip()

    def plain(self, name: str) -> str:
        """Returns a number or code, "" where it is not there: a Chinese keyboard types it in full width."""
        return plainly(self.text(name))

    def raw(self, name: str) -> str:
        """Returns a field as it was typed: for passwords."""
        return dict(self.items).get(name, "")

    def uuid(self, name: str) -> str | None:
        """Returns the id that a form brings along, None where it has none: sent twice it counts once."""
        try:
            return str(UUID(self.text(name)))
        except ValueError:
            return None

    def many(self, name: str) -> list[str]:
        """Returns every value of a field, as of check boxes."""
        return [value for key, value in self.items if key == name]


@dataclass(frozen=True, slots=True)
class Sent:
    """A form as a template draws it: blank, or refused with what was typed and why.

    errors: field -> sentences, a line each. message: what is wrong beyond one field. had_files: files were
    chosen, which no browser fills in again.
    """

    items: tuple[tuple[str, str], ...] = ()
    errors: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    had_files: bool = False

    def value(self, name: str) -> str:
        """Returns what to show in a field."""
        return dict(self.items).get(name, "")

    def has(self, name: str, value: str) -> bool:
        """Whether this choice was made."""
        return (name, value) in self.items

    def of(self, name: str, value: str) -> Sent:
        """Returns this form if it is the one of several that brings along this value, else BLANK."""
        return self if self.value(name) == value else BLANK

    @property
    def reason(self) -> str:
        """Why it was refused, in one line, for who sees no fields."""
        return " ".join(dict.fromkeys(self.errors.values())) or self.message


BLANK = Sent()


def prefilled(**values: str) -> Sent:
    """Returns a form that has values before anybody typed any."""
    return Sent(tuple(values.items()))


def refused(
    request: Request, form: Form, fault: Fault, *, only: Collection[str] | None = None
) -> Sent:
    """Returns the form as it was sent, with why it was refused; never what is in SECRETS.

    only: slugs of what a form tells beside its fields; raises any other fault, which has a page of its own.

    A fault's place (`licences`, 0, `number`) is looked for as `licences_0_number`, `number`, `licences`.
    An id that was taken before, with other words, is not kept: sent once more it is something new.
    """
    if only is not None and fault.slug not in only:
        raise fault
    lang = lang_of(request, form.text("lang"))
    problem = describe(fault, lang=lang, instance=visit_of(request).id)
    told: dict[str, dict[str, None]] = {}
    for error in problem.get("errors", ()):
        told.setdefault(_field_of(error["loc"], form), {})[error["msg"]] = None
    for more in say_left_out(problem, lang):
        told[_field_of(problem["errors"][-1]["loc"], form)][more] = None
    # Everything that is wrong with a field, a line each: who mends one fault is not sent back for the next.
    errors = {name: "\n".join(said) for name, said in told.items()}
    message = problem["detail"]
    if errors and fault.key == "invalid":
        message = text(lang, "form.refused")
    kept = _kept(form)
    if fault.slug == "id-conflict":
        kept = tuple((name, value) for name, value in kept if name not in _ONCE)
    had_files = any(file.filename for file in form.files.values())
    return Sent(kept, errors, message, had_files)


def missing(form: Form, lang: Lang, *names: str) -> Sent | None:
    """Returns the form with every field of these that was left empty; None where none was."""
    errors = {name: text(lang, "field.missing", name=name) for name in names if not form.text(name)}
    if not errors:
        return None
    return Sent(_kept(form), errors, text(lang, "form.refused"))


def _kept(form: Form) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in form.items if name not in SECRETS)


def _field_of(loc: list[str | int], form: Form) -> str:
    known = {name for name, _ in form.items}
    words = [str(part) for part in loc]
    names = [part for part in loc if isinstance(part, str)]
    for name in ("_".join(words), *reversed(names)):
        if name in known:
            return name
    return names[0] if names else ""


# --- reading -------------------------------------------------------------------------------------


def check_origin(request: Request, rooms: Rooms) -> None:
    """Raises FormForeign for a form that stood on another site, as the browser tells."""
    site = request.headers.get("sec-fetch-site")
    # `none`: nobody's page, a reload by hand.
    if site is not None and site not in ("same-origin", "none"):
        raise FormForeign("form_foreign")
    origin = request.headers.get("origin")
    if origin is not None and split_told(origin).netloc not in own_hosts(request, rooms):
        raise FormForeign("form_foreign")


def check_token(form: Form, signed: SignedIn) -> None:
    """Raises FormForeign unless the form carries the session's token, which a new cookie leaves as it is."""
    if not hmac.compare_digest(form.raw(TOKEN_FIELD).encode(), signed.csrf.encode()):
        raise FormForeign("form_stale")


async def _read(request: Request, max_files: int) -> Form:
    if max_files and request.headers.get("content-type", "").startswith("multipart/form-data"):
        told = await _read_files(request, max_files)
    else:
        told = await request.form(max_files=max_files, max_fields=_MOST_FIELDS)
    # PostgreSQL keeps no NUL, and nobody types one.
    items = tuple(
        (name, value.replace("\x00", "")) for name, value in told.multi_items()
        if isinstance(value, str)
    )  # fmt: skip
    files = {name: value for name, value in told.items() if isinstance(value, UploadFile)}
    return Form(items, files)


async def _read_files(request: Request, max_files: int) -> FormData:
    """Returns a form with files, of which nothing reaches the disk. Raises Malformed."""
    parser = InMemory(
        request.headers, request.stream(), max_files=max_files, max_fields=_MOST_FIELDS
    )
    try:
        return await parser.parse()
    except (MultiPartException, KeyError, ValueError, AssertionError) as err:
        parser.close()
        raise Malformed("multipart") from err


async def read_open_form(request: Request, rooms: InRooms, signed: MaybeSigned) -> Form:
    """Returns a form that anybody may send; with a session, the session's token too. Raises FormForeign."""
    check_origin(request, rooms)
    form = await _read(request, 0)
    # Where there is a session, the form knew it, unless it was begun in another window since.
    if signed is not None and form.raw(TOKEN_FIELD):
        check_token(form, signed)
    return form


def form_reader(*, max_files: int = 0) -> Callable[..., AsyncIterator[Form]]:
    """Returns a dependency for forms of who has signed in, with so many files, closed after the answer.

    Raises FormForeign, Led, Malformed.
    """

    async def read_form(request: Request, rooms: InRooms, signed: InSigned) -> AsyncIterator[Form]:
        check_origin(request, rooms)
        form = await _read(request, max_files)
        try:
            check_token(form, signed)
            yield form
        finally:
            for file in form.files.values():
                await file.close()

    return read_form


async def read_owed_form(request: Request, rooms: InRooms, signed: MaybeSigned) -> Form:
    """Returns a form of a session that may still owe something. Raises FormForeign."""
    check_origin(request, rooms)
    form = await _read(request, 0)
    if signed is not None:
        check_token(form, signed)
    return form


InForm = Annotated[Form, Depends(form_reader())]
InOpenForm = Annotated[Form, Depends(read_open_form)]
InOwedForm = Annotated[Form, Depends(read_owed_form)]
