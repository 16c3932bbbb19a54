"""/docs: every operation, the table of roles, every problem type, on one page without a script.

FastAPI's own page loads its scripts from another host, which our pages never do.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from app.i18n import has, pick_language, text
from app.kit.errors import NotFound
from app.parties.identity import CONSUMER, SYSTEM
from app.parties.roles import ADMIN, PARTY_ROLES, table_rows
from app.web.body import StrictRoute
from app.web.deps import Language
from app.web.problems import STATUS

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_ROLES = (*PARTY_ROLES, ADMIN, CONSUMER, SYSTEM)
_TEMPLATES = Path(__file__).with_name("templates")


@router.get("/docs", response_class=HTMLResponse)
def show_docs(
    request: Request, language: Language, lang: Annotated[str | None, Query(max_length=20)] = None
) -> HTMLResponse:
    """Returns the page in the reader's language, or the one asked for."""
    chosen = pick_language(None, lang) if lang else language
    rows = table_rows()
    page = (
        _environment()
        .get_template("docs.html")
        .render(
            lang=chosen,
            t=lambda key, **params: text(chosen, key, **params),
            has=has,
            roles=_ROLES,
            actions=[row for row in rows if row.half == "action"],
            events=[row for row in rows if row.half == "event"],
            operations=_operations(request.app.openapi()),
            problems=sorted(STATUS.items(), key=lambda item: item[1]),
        )
    )
    return HTMLResponse(page, headers={"Vary": "Accept-Language", "Content-Language": chosen})


@router.get("/problems/{slug}")
async def show_problem(slug: str) -> RedirectResponse:
    """Leads from a problem's `type` to its line in the list."""
    if slug not in STATUS:
        raise NotFound("path_unknown")
    return RedirectResponse(f"/docs#problem-{slug}", status_code=303)


def _operations(description: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "summary": operation.get("summary", ""),
            "description": operation.get("description", ""),
            "answers": list(operation["responses"]),
            "key": {} not in operation.get("security", [{}]),
        }
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
