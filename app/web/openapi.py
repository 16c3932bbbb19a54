"""The description of the API: what FastAPI derives, with every refusal declared as a problem."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from app.web.problems import MEDIA_TYPE, MOST_TOLD, STATUS

TITLE = "Suxin 溯信"
API_VERSION = "1"
KEY_SCHEME, OPTIONAL_KEY_SCHEME = "key", "key_if_any"
_SUMMARY = "Traceability that nobody can rewrite unseen, and credit and ranking that follow it."
_DESCRIPTION = """\
JSON in and out, `snake_case`; times are RFC 3339, answered in UTC with milliseconds. Lists answer
`{items, next}` to `?limit=` and `?cursor=`. `Accept-Language: zh` or `en` picks the language of
messages. Refusals are RFC 9457 problems; what each role may do is the table at `/docs`.
Programs send `Authorization: Bearer sx_<key id>_<secret>`.
"""

# What any call may answer, whatever it does.
_ALWAYS = (
    "malformed",
    "unauthenticated",
    "invalid",
    "too-many-requests",
    "internal",
    "unavailable",
)
_WITH_BODY = ("too-large", "unsupported-media-type")
_WITH_BODY_WRITTEN = ("overloaded",)

_PROBLEM = {
    "title": "Problem",
    "description": "A refusal (RFC 9457). `type` never changes for a cause.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "enum": [f"/problems/{slug}" for slug in STATUS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id, as in X-Request-Id."},
        "reason": {
            "type": "string",
            "description": "With lifecycle-conflict: which rule, such as `already_signed`; `has_spoken`"
            " where a record would take the place of a carrier or platform that has spoken of this sale.",
        },
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["loc", "kind", "msg"],
                "properties": {
                    "loc": {
                        "type": "array",
                        "items": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                    },
                    "kind": {"type": "string", "description": "A stable word."},
                    "msg": {"type": "string"},
                },
            },
        },
        "left_out": {
            "type": "integer",
            "description": f"How many more fields are wrong: `errors` tells of {MOST_TOLD} at most.",
        },
    },
}


def problems(*slugs: str) -> dict[int | str, dict[str, Any]]:
    """Returns `responses=` for the problems a route answers beyond those that every route does."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in slugs:
        found.setdefault(STATUS[slug], {"slugs": []})["slugs"].append(slug)
    return {status: _response(given["slugs"]) for status, given in found.items()}


def repeated(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """Returns `responses=` for a repeat, which is answered 200 with what was made before."""
    return {200: {"model": model, "description": "It was there already: a repeat"}}


def describe_api(app: FastAPI) -> dict[str, Any]:
    """Returns the OpenAPI description of all routes."""
    found = get_openapi(
        title=TITLE,
        version=API_VERSION,
        summary=_SUMMARY,
        description=_DESCRIPTION,
        routes=app.routes,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Problem"] = _PROBLEM
    found["components"].get("securitySchemes", {}).pop(OPTIONAL_KEY_SCHEME, None)
    for path in found.get("paths", {}).values():
        for operation in path.values():
            _declare_common(operation)
    return found


def _declare_common(operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]  # FastAPI's own shape, which we never answer
    slugs: list[str] = list(_ALWAYS)
    if "requestBody" in operation:
        slugs += (*_WITH_BODY, *_WITH_BODY_WRITTEN)
    by_status: dict[str, list[str]] = {}
    for slug in slugs:
        by_status.setdefault(str(STATUS[slug]), []).append(slug)
    for status, common in by_status.items():
        declared = responses.get(status, {}).get("x-problems", [])
        responses[status] = _response([*declared, *(s for s in common if s not in declared)])
    operation["responses"] = dict(sorted(responses.items()))
    if {OPTIONAL_KEY_SCHEME: []} in operation.get("security", []):
        operation["security"] = [{}, {KEY_SCHEME: []}]  # without a key, or with one


def _response(slugs: Iterable[str]) -> dict[str, Any]:
    listed = list(slugs)
    return {
        "description": ", ".join(f"`{slug}`" for slug in listed),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "x-problems": listed,
    }
