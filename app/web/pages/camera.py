"""/scan: a label read by the phone's camera, from a photo, or typed; and what else a code can be.

The camera's pictures are looked at in the browser, or, where it has no decoder and none was installed,
sent here one a second. A photo is read from memory and forgotten. No script is needed for a photo, nor
for typing.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from app.i18n import text
from app.kit.errors import Fault, Invalid, TooMany
from app.labels.photo import read_photo
from app.trace.foreign import tell_foreign
from app.trace.identifiers import parse_code
from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.gate import CONTENT_SECURITY_POLICY
from app.web.pages.answers import answer_page, asked_by_script, frame_of, path_of
from app.web.pages.consumer_views import CameraView
from app.web.pages.render import link_within, render_page
from app.web.pages.versions import STATIC, folder_version
from app.web.problems import say_fault, status_of
from app.web.upload import InMemory
from app.web.visit import visit_of

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

CAMERA_PATH: Final = f"/static/camera-{folder_version(STATIC / 'camera')}"
"""Where the browser's modules for the camera are; the name holds their version."""

DECODER: Final = Path(__file__).parents[3] / "node_modules" / "zxing-wasm" / "dist"
"""Where npm puts the decoder, of which a browser loads three files."""

_DECODER_FILES: Final = ("es/reader/index.js", "es/share.js", "reader/zxing_reader.wasm")
_LANG = Annotated[str | None, Query(max_length=8)]
_MOST_CHARACTERS: Final = 2048

# The decoder is WebAssembly; everywhere else that stays forbidden, and so does the camera.
CAMERA_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY.replace(
        "script-src 'self'", "script-src 'self' 'wasm-unsafe-eval'"
    ),
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}


@cache
def decoder_path() -> str:
    """Returns below which address the decoder is served, "" where npm has not brought it."""
    if not all((DECODER / name).is_file() for name in _DECODER_FILES):
        return ""
    return f"/static/zxing-{folder_version(*(DECODER / name for name in _DECODER_FILES))}"


@router.get("/scan")
def show_camera(request: Request, lang: _LANG = None) -> Response:
    """Shows the camera page."""
    return _answer(CameraView(frame=frame_of(request, lang, "/scan")), status=200)


@router.post("/scan")
async def take_photo(request: Request, rooms: InRooms) -> Response:
    """Leads from a photo, or a text that a camera read, to the page of its code."""
    if not rooms.photo_limit.take(visit_of(request).address):
        raise TooMany("too_many_requests", retry_after_s=1)
    photo, said, lang = await _read_form(request)
    return await rooms.photo_turns.run(partial(_look, request, photo, said, lang))


async def _read_form(request: Request) -> tuple[bytes | None, str, str | None]:
    """Returns photo, text and language. Raises Invalid for what is no form."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        form = await request.form(max_files=0)
        return None, str(form.get("text", "")), str(form.get("lang", "")) or None
    parser = InMemory(request.headers, request.stream(), max_files=1, max_fields=4)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError) as err:
        raise Invalid("form_unreadable") from err
    try:
        photo = form.get("photo")
        data = await photo.read() if isinstance(photo, UploadFile) else None
        return data, str(form.get("text", "")), str(form.get("lang", "")) or None
    finally:
        await form.close()


def _look(request: Request, photo: bytes | None, said: str, lang: str | None) -> Response:
    frame = frame_of(request, lang, "/scan")
    for_script = asked_by_script(request)
    try:
        texts = read_photo(photo) if photo else (said[:_MOST_CHARACTERS],) if said.strip() else ()
    except Fault as fault:
        if for_script:
            raise
        view = CameraView(frame=frame, problem=say_fault(fault, frame.lang))
        return _answer(view, status=status_of(fault))
    place = next(filter(None, map(place_of, texts)), "")
    if for_script:
        # The camera goes on looking until there is something to open or to explain.
        return JSONResponse(
            {"text": texts[0] if texts else "", "texts": list(texts), "place": place}
        )
    if place:
        return RedirectResponse(link_within(frame, place), 303)
    if not texts:
        key = "page.camera.nothing" if photo else "page.camera.empty"
        return _answer(CameraView(frame=frame, problem=text(frame.lang, key)), status=422)
    foreign = tell_foreign(texts[0])
    view = CameraView(
        frame=frame,
        problem=text(frame.lang, f"page.foreign.{foreign.kind}"),
        read=foreign.host or (texts[0][:80] if foreign.kind == "text" else ""),
    )
    return _answer(view, status=422)


def place_of(said: str) -> str | None:
    """Returns the path of the page that a text leads to, None where it names no goods."""
    try:
        return path_of(parse_code(said))
    except Fault:
        return None


def _answer(view: CameraView, *, status: int) -> Response:
    page = render_page(
        "camera.html",
        view.frame,
        view=view,
        indexable=status == 200,
        scripts=CAMERA_PATH,
        decoder=decoder_path(),
    )
    response = answer_page(page, view.frame.lang, status=status)
    response.headers.update(CAMERA_HEADERS)
    return response
