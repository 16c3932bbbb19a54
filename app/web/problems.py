"""Refusals as problem documents (RFC 9457) in the reader's language; the one table of status codes.

Rules raise faults and know no status; here a fault's slug gives status and type, its key the
sentence. What nobody expected is answered with the request's id and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson
import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.i18n import Lang, in_words, text, worded
from app.kit.errors import (
    Fault,
    FieldFault,
    Invalid,
    Malformed,
    NotFound,
    TooLarge,
    Unauthenticated,
    UnsupportedMedia,
    not_of_type,
)
from app.web.visit import Visit, visit_of

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"

MOST_TOLD = 100
"""Of so many wrong fields a refusal tells; it counts the others, or it would be longer than what was sent."""

STATUS: Mapping[str, int] = {
    "malformed": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "no-mandate": 403,
    "party-unverified": 403,
    "licence-missing": 403,
    "proof-invalid": 403,
    "not-found": 404,
    "code-unknown": 404,
    "method-not-allowed": 405,
    "lifecycle-conflict": 409,
    "id-conflict": 409,
    "already-exists": 409,
    "nobody-named": 409,
    "not-dismissable": 409,
    "audit-not-done": 409,
    "no-chain": 409,
    "chain-too-long": 409,
    "domains-full": 409,
    "too-large": 413,
    "unsupported-media-type": 415,
    "invalid": 422,
    "signature-invalid": 422,
    "too-many-requests": 429,
    "document-altered": 500,
    "internal": 500,
    "overloaded": 503,
    "unavailable": 503,
}
"""Every problem type and its status."""


class MethodNotAllowed(Fault):
    """The path is there, but takes other methods."""

    slug = "method-not-allowed"


def status_of(fault: Fault) -> int:
    """Returns the HTTP status of a fault."""
    return STATUS.get(fault.slug, 500)


def describe(fault: Fault, *, lang: Lang, instance: str) -> dict[str, Any]:
    """Returns the problem document of a fault: also of one item of a batch."""
    slug = fault.slug if fault.slug in STATUS else "internal"
    title = text(lang, f"problem.{slug}")
    problem: dict[str, Any] = {
        "type": f"/problems/{slug}",
        "title": title,
        "status": STATUS[slug],
        "detail": _detail(fault, slug, lang) or title,
        "instance": instance,
    }
    if fault.errors:
        problem["errors"] = [
            {"loc": list(error.loc), "kind": error.kind, "msg": _field(error, lang)}
            for error in fault.errors[:MOST_TOLD]
        ]
    left_out = fault.left_out + max(0, len(fault.errors) - MOST_TOLD)
    if left_out:
        problem["left_out"] = left_out
    if fault.reason is not None:
        problem["reason"] = fault.reason
    return problem


def say_fault(fault: Fault, lang: Lang, *, with_places: bool = False) -> str:
    """Returns in one line what a fault says of each field that is wrong, or of the whole.

    with_places: each with the path of its field, for whoever has no form before them.
    """
    problem = describe(fault, lang=lang, instance="")
    detail: str = problem["detail"]
    told = [
        f"{'.'.join(map(str, error['loc']))}: {error['msg']}" if with_places else error["msg"]
        for error in problem.get("errors", ())
    ]
    return "; ".join(told + say_left_out(problem, lang)) or detail


def say_left_out(problem: Mapping[str, Any], lang: Lang) -> list[str]:
    """Returns the line that says how many more fields are wrong than a problem tells of; [] for none."""
    count = problem.get("left_out")
    return [] if count is None else [text(lang, "form.lines.rest", count=count)]


def problem_response(fault: Fault, visit: Visit) -> Response:
    """Returns the answer to a refused request."""
    # Else a shared cache may keep a 404 for as long as it likes, of what is there a moment later.
    headers = {
        "Content-Language": visit.lang,
        "Vary": "Accept-Language",
        "Cache-Control": "no-store",
    }
    if fault.retry_after_s is not None:
        headers["Retry-After"] = str(fault.retry_after_s)
    if isinstance(fault, Unauthenticated):
        headers["WWW-Authenticate"] = 'Bearer realm="suxin"'
    problem = describe(fault, lang=visit.lang, instance=visit.id)
    return Response(
        orjson.dumps(problem), problem["status"], headers=headers, media_type=MEDIA_TYPE
    )


def handle_fault(request: Request, fault: Exception) -> Response:
    """Answers a fault that a handler raised."""
    assert isinstance(fault, Fault)
    if status_of(fault) >= 500:
        log.warning("request.refused", slug=fault.slug, fault=str(fault))
    return answer(request, fault)


def handle_validation(request: Request, error: Exception) -> Response:
    """Answers what FastAPI found wrong with parameters and body."""
    assert isinstance(error, RequestValidationError)
    return answer(request, refusal_of(error.errors()))


def handle_http(request: Request, error: Exception) -> Response:
    """Answers what the framework itself refuses: unknown path, wrong method, unreadable form."""
    assert isinstance(error, HTTPException)
    if isinstance(error.__cause__, Fault):
        return answer(request, error.__cause__)
    fault: Fault
    match error.status_code:
        case 404:
            fault = NotFound("path_unknown")
        case 405:
            fault = MethodNotAllowed("method_not_allowed", method=request.method)
        case 413:
            fault = TooLarge("body_too_large")
        case 415:
            fault = UnsupportedMedia("media_type")
        case status if status < 500:
            fault = Malformed("not_readable")
        case _:
            fault = Fault("internal")
    response = answer(request, fault)
    if error.status_code == 405:
        response.headers["Allow"] = ", ".join(_methods_at(request))
    return response


def _methods_at(request: Request) -> list[str]:
    """Returns every method that the path takes: the framework names those of one route only."""
    found: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        pattern = getattr(route, "path_regex", None)
        if pattern is not None and pattern.match(request.scope["path"]):
            found |= set(route.methods or ())
    return sorted(found | {"HEAD"} if "GET" in found else found)


def answer(request: Request, fault: Fault) -> Response:
    """Returns the problem, as a page where the app has one for readers of HTML, else as JSON.

    `app.state.problem_page(request, fault)` may return such a page, or None. `app.state.problem_shapes`:
    by the beginning of a path, who answers there in a form that is not ours.
    """
    for prefix, shape in getattr(request.app.state, "problem_shapes", {}).items():
        if request.scope["path"].startswith(prefix):
            shaped: Response = shape(request, fault)
            return shaped
    page = getattr(request.app.state, "problem_page", None)
    if page is not None and "text/html" in request.headers.get("accept", ""):
        shown: Response | None = page(request, fault)
        if shown is not None:
            return shown
    return problem_response(fault, visit_of(request))


# --- what validation found ------------------------------------------------------------------------

HOUSE = "house"
"""Pydantic's type of an error that is a FieldFault, `fault` in its context."""

_KINDS: Mapping[str, str] = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "literal_error": "enum",
    "enum": "enum",
    "greater_than": "range",
    "greater_than_equal": "range",
    "less_than": "range",
    "less_than_equal": "range",
    "finite_number": "range",
    "int_parsing_size": "range",
    "string_too_short": "length",
    "string_too_long": "length",
    "too_short": "length",
    "too_long": "length",
    "string_pattern_mismatch": "pattern",
    "string_unicode": "surrogate",
    "time": "time",
    "date": "date",
}
"""Pydantic's words and ours; every other one is about a value's type."""


_SHAPES: Mapping[str, str] = {
    "string": "text",
    "int": "whole",
    "float": "number",
    "bool": "flag",
    "dict": "object",
    "model": "object",
    "list": "list",
    "tuple": "list",
}
"""How pydantic's words about types begin, and the names of what was expected."""


_BRANCH = re.compile(r"^(literal|function-\w+|list|dict|nullable)\[.*\]$|^[A-Z]\w*In$")


def refusal_of(errors: Sequence[Any], *others: FieldFault) -> Invalid:
    """Returns the refusal of what pydantic found, behind others; of very many the first are read.

    The rest is counted: a body may have a hundred thousand wrong fields, and nobody is told of them.
    """
    refusal = Invalid("invalid", errors=(*others, *read_errors(errors[:MOST_TOLD])))
    refusal.left_out = max(0, len(errors) - MOST_TOLD)
    return refusal


def read_errors(errors: Iterable[Any]) -> tuple[FieldFault, ...]:
    """Returns pydantic's errors in the words of the contract, `loc` from the body's root."""
    return tuple(_read_error(error) for error in errors)


def _read_error(error: Mapping[str, Any]) -> FieldFault:
    loc = tuple(error["loc"])
    if loc[:1] == ("body",) and len(loc) > 1:
        loc = loc[1:]
    # pydantic names the branch of a union that it tried; the sender wrote nothing of that kind.
    loc = tuple(part for part in loc if not (isinstance(part, str) and _BRANCH.search(part)))
    # Names are the sender's; a long one is cut so that an answer cannot be blown up.
    loc = tuple(part[:80] if isinstance(part, str) else part for part in loc)
    if error["type"] == HOUSE:  # said already in our words
        fault: FieldFault = error["ctx"]["fault"]
        return replace(fault, loc=loc)
    kind = _KINDS.get(error["type"], "type")
    context = error.get("ctx", {})
    given = error.get("input")
    params: dict[str, object] = {"name": loc[-1] if loc else ""}
    words: dict[str, str] = {}
    if isinstance(given, (str, int, float)):
        params["got"] = str(given)[:40]
    match kind:
        case "range":
            params["expected"] = _range_of(context)
            words = {"expected": "bound"} if params["expected"] == "number" else {}
        case "length":
            low, high = context.get("min_length"), context.get("max_length")
            params["expected"] = f"≥ {low}" if low is not None else f"≤ {high}"
            params["got"] = context.get("actual_length") or len(given or "")
        case "enum":
            choices = str(context.get("expected", ""))  # 'a', 'b' or 'c'
            params["expected"] = choices.replace("'", "").replace(" or ", ", ")
        case "pattern":
            params["expected"] = str(context.get("pattern", ""))
        case "type" if shape := _SHAPES.get(error["type"].partition("_")[0]):
            return not_of_type(loc, shape)
        case _:
            pass
    return FieldFault(loc, kind, params, words=words)


def _range_of(context: Mapping[str, Any]) -> str:
    """Returns the bounds that a number lies outside of, `number` for what is no finite one."""
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    bounds = [f"{sign} {context[name]}" for name, sign in signs.items() if name in context]
    return ", ".join(bounds) or "number"


def _detail(fault: Fault, slug: str, lang: Lang) -> str | None:
    if slug == "internal":
        return text(lang, "fault.internal")
    try:
        told = in_words(lang, fault.params) | worded(lang, fault.params, fault.words)
        return text(lang, f"fault.{fault.key}", **told)
    except (KeyError, IndexError):
        # A missing sentence must not turn a refusal into an error of ours.
        log.warning("problem.sentence_missing", key=f"fault.{fault.key}")
        return None


def _field(error: FieldFault, lang: Lang) -> str:
    name = error.loc[-1] if error.loc else ""
    blanks = {"name": name, "expected": "…", "ought": "…", "got": "…"}
    try:
        told = in_words(lang, error.params) | worded(lang, error.params, error.words)
        return text(lang, f"field.{error.sentence or error.kind}", **(blanks | told))
    except (KeyError, IndexError):
        log.warning("problem.sentence_missing", key=f"field.{error.sentence or error.kind}")
        return text(lang, "field.wrong")
