"""The pages on standing: a party's dossier, the policy, the zone. Read by anybody, without a script."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.credit.search import Sort
from app.kit.errors import NotFound
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.pages.answers import answer_page, frame_of
from app.web.pages.dossier import fill_dossier
from app.web.pages.policy import fill_policy
from app.web.pages.standing_render import render_dossier, render_policy, render_search, render_zone
from app.web.pages.versions import STATIC
from app.web.pages.zone import fill_search, fill_zone
from app.web.paging import InPage, encode_place

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

SCRIPT = STATIC.parent / "scripts" / "recompute_score.py"
SCRIPT_PATH = "/policy/recompute_score.py"

_LANG = Annotated[str | None, Query(max_length=8)]


@router.get("/credit/{party}")
def show_dossier(
    request: Request,
    rooms: InRooms,
    party: Annotated[str, Path(max_length=64)],
    lang: _LANG = None,
) -> Response:
    """Shows the public dossier of a party."""
    frame = frame_of(request, lang, request.scope["path"])
    script = SCRIPT_PATH if SCRIPT.exists() else ""
    return answer_page(render_dossier(fill_dossier(rooms, frame, party, script=script)), frame.lang)


@router.get(SCRIPT_PATH)
def read_script() -> Response:
    """Returns scripts/recompute_score.py, with which anybody computes a score again."""
    if not SCRIPT.exists():  # installed without its checkout
        raise NotFound("path_unknown")
    return FileResponse(SCRIPT, media_type="text/x-python; charset=utf-8", filename=SCRIPT.name)


@router.get("/policy")
def show_policy(request: Request, rooms: InRooms, lang: _LANG = None) -> Response:
    """Shows the policy in force."""
    frame = frame_of(request, lang, "/policy")
    return answer_page(render_policy(fill_policy(rooms, frame, None)), frame.lang)


@router.get("/policy/{version}")
def show_policy_version(
    request: Request,
    rooms: InRooms,
    version: Annotated[int, Path(ge=1, le=10_000)],
    lang: _LANG = None,
) -> Response:
    """Shows a version of the policy, past, in force or announced."""
    frame = frame_of(request, lang, f"/policy/{version}")
    return answer_page(render_policy(fill_policy(rooms, frame, version)), frame.lang)


@router.get("/zone")
def show_zone(
    request: Request,
    rooms: InRooms,
    page: InPage,
    category: Literal[
        "", "edible_agricultural", "food", "drug", "agricultural_input", "hazardous",
        "rare_earth", "cross_border",
    ] = "",
    lang: _LANG = None,
) -> Response:  # fmt: skip
    """Shows 重要产品追溯专区, all of it or one kind of goods."""
    frame = frame_of(request, lang, "/zone", keeps=("category", "cursor"))
    after = page.after(int, int)
    view, following = fill_zone(
        rooms, frame, category, None if after is None else (after[0], after[1])
    )
    cursor = "" if following is None else encode_place(following)
    return answer_page(render_zone(view, cursor), frame.lang)


@router.get("/search")
def show_search(
    request: Request,
    rooms: InRooms,
    page: InPage,
    q: Annotated[str, Query(max_length=100)] = "",
    sort: Sort = "relevance",
    lang: _LANG = None,
) -> Response:
    """Shows the products that have every word of `q`, or the product of a code."""
    frame = frame_of(request, lang, "/search", keeps=("q", "sort", "cursor"))
    after = page.after(*((int, int) if sort == "newest" else (int,)))
    view, following = fill_search(rooms, frame, q.strip(), sort, after)
    cursor = "" if following is None else encode_place(following)
    return answer_page(render_search(view, cursor), frame.lang)
