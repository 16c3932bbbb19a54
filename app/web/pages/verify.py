"""/verify: a bundle checked in the reader's own browser, and the sentences that its scripts say.

The checking is static/verify/, which trusts nothing that comes from here but the log's key. This module
only serves it: the page, the words, and the other program that does the same without a browser.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from app.i18n import keys, pick_language, text_as_written
from app.kit.errors import NotFound
from app.web.body import StrictRoute
from app.web.pages.answers import answer_page, frame_of
from app.web.pages.render import render_verify
from app.web.pages.versions import STATIC, WORDS_VERSION, file_version
from app.web.pages.views import VerifyView

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

SCRIPT = STATIC.parent / "scripts" / "verify_bundle.py"
SCRIPT_PATH = "/verify/verify_bundle.py"
PROOF_SCRIPT = SCRIPT.with_name("verify_proof.py")
PROOF_PATH = "/verify/verify_proof.py"

_FOREVER = "public, max-age=31536000, immutable"
# What a scan needs at once is a tenth of all: a phone on a bad line waits for no more.
_PARTS = {"watch": ("verify.watch.",), "check": ("verify.watch.", "verify.check.", "bundle.")}
_LANG = Annotated[str | None, Query(max_length=8)]
_VERSION = Annotated[str, Query(max_length=64)]


class Modules(StaticFiles):
    """The browser's modules, below a path that names their version: kept for ever, never mixed."""

    def file_response(self, *given: object, **named: object) -> Response:
        response = super().file_response(*given, **named)  # type: ignore[arg-type]
        response.headers["Cache-Control"] = _FOREVER
        return response


class Styles(StaticFiles):
    """Everything else that is static: kept for ever where the address names the version of this very file."""

    def file_response(self, *given: object, **named: object) -> Response:
        response = super().file_response(*given, **named)  # type: ignore[arg-type]
        path, _, scope = given[:3]
        asked = f"v={file_version(Path(str(path)))}".encode()
        if isinstance(scope, dict) and scope.get("query_string") == asked:
            response.headers["Cache-Control"] = _FOREVER
        return response


@router.get("/verify")
def show_verify(request: Request, lang: _LANG = None) -> Response:
    """Shows the page on which a bundle is checked."""
    frame = frame_of(request, lang, "/verify")
    script = SCRIPT_PATH if SCRIPT.exists() else ""
    return answer_page(render_verify(VerifyView(frame=frame, script=script)), frame.lang)


@router.get("/verify/words.json")
def read_words(
    part: Literal["watch", "check"] = "check", lang: _LANG = None, v: _VERSION = ""
) -> Response:
    """Returns what the scripts say, key -> sentence, each with its places as `{name}`."""
    language = pick_language(None, lang)
    said = {
        key: text_as_written(language, key)
        for key in sorted(keys(language))
        if key.startswith(_PARTS[part])
    }
    # Kept for ever only under the version of these very words: while a service is upgraded, a page of one
    # release may ask a process of another.
    kept = _FOREVER if v == WORDS_VERSION else "no-store"
    headers = {"Cache-Control": kept, "Content-Language": language}
    return Response(orjson.dumps(said), media_type="application/json", headers=headers)


@router.get(SCRIPT_PATH)
def read_script() -> Response:
    """Returns scripts/verify_bundle.py, for whoever would rather not trust a browser."""
    if not SCRIPT.exists():  # installed without its checkout
        raise NotFound("path_unknown")
    return FileResponse(SCRIPT, media_type="text/x-python; charset=utf-8", filename=SCRIPT.name)


@router.get(PROOF_PATH)
def read_proof_script() -> Response:
    """Returns scripts/verify_proof.py, which checks reports, packages and badges."""
    if not PROOF_SCRIPT.exists():
        raise NotFound("path_unknown")
    return FileResponse(
        PROOF_SCRIPT, media_type="text/x-python; charset=utf-8", filename=PROOF_SCRIPT.name
    )
