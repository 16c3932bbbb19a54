"""The session's cookie, and what a handler asks for to know who is there.

The cookie is `__Host-…` where the public address is https: bound to this host, this path, TLS. A page
that needs somebody leads whoever reads HTML to the page where it is given (`Led`), and back.
"""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route

from app.kit.errors import Unauthenticated
from app.parties.devices import KNOWN_FOR
from app.parties.sessions import Client, SignedIn
from app.web.deps import InRooms, Rooms
from app.web.visit import visit_of

_COOKIE = "suxin_session"
_HOST_COOKIE = f"__Host-{_COOKIE}"
COOKIES = (_HOST_COOKIE, _COOKIE)
_DEVICE = "suxin_device"
_HOST_DEVICE = f"__Host-{_DEVICE}"
# A path of ours, never `//elsewhere` nor anything a browser reads as one.
_LOCAL = re.compile(r"/(?![/\\])[A-Za-z0-9_.~/%?=&+:,-]*", re.ASCII)

HOME = "/desk"


class Led(Unauthenticated):
    """Something must be given first, on the page `to`; then the reader comes back."""

    def __init__(self, key: str, *, to: str) -> None:
        super().__init__(key)
        self.to = to


def lead(request: Request, fault: Led) -> Response:
    """Returns the way to where it is given, and from there on to what was asked for.

    A form is not sent again: from there the way is back to the page on which it stood, and it is said
    that nothing was saved.
    """
    asked, lang = request.scope["path"], request.query_params.get("lang")
    said = {}
    if request.scope["method"] != "GET":
        stood = stood_on(request)
        asked = stood or HOME
        lang = dict(parse_qsl(urlsplit(stood).query)).get("lang")
        said["told"] = "session_over" if fault.to == "/sign-in" else "unsaved"
    elif request.url.query:
        asked += f"?{request.url.query}"
    said = {"next": asked} | said
    if lang in ("zh", "en"):
        said["lang"] = str(lang)
    return RedirectResponse(f"{fault.to}?{urlencode(said, quote_via=quote)}", 303)


def stood_on(request: Request) -> str:
    """Returns the page of ours on which a form stood, as the browser tells; "" where it tells none."""
    stood = split_told(request.headers.get("referer", ""))
    if stood.netloc not in own_hosts(request, request.app.state.rooms) or not stood.path:
        return ""
    path = _page_at(request, stood.path)
    # What the page said once of something done before is not said again; a page above knows other words.
    kept = [
        (name, value) for name, value in parse_qsl(stood.query)
        if name == "lang" or (name != "told" and path == stood.path)
    ]  # fmt: skip
    whole = f"{path}?{urlencode(kept)}" if kept else path
    return whole if local_path(whole) == whole else local_path(path)


def own_hosts(request: Request, rooms: Rooms) -> set[str]:
    """Returns the hosts, with their ports, at which a browser may have our pages.

    A proxy may give `Host` a name of its own, and the public address may be one of several.
    """
    return {request.headers.get("host", ""), urlsplit(rooms.base_url).netloc} - {""}


def split_told(url: str) -> SplitResult:
    """Returns the parts of an address that a browser tells, all of them empty where it can be none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _page_at(request: Request, path: str) -> str:
    """Returns this path or the nearest above at which there is a page to ask for, HOME where none is.

    A form that is refused is drawn where it was sent, at `…/lots`, say, where nothing can be asked for.
    """
    if _has_page(request, path):
        return path
    # Nothing of ours stood elsewhere; and who makes up a path of a thousand steps has none looked for.
    if _route_at(request, "POST", path) is not None:
        while path := path.rpartition("/")[0]:
            if _has_page(request, path):
                return path
    return HOME


def _has_page(request: Request, path: str) -> bool:
    """Whether a page can be asked for here. `/products/listings` is none of `/products/{gtin}`."""
    shown, sent = _route_at(request, "GET", path), _route_at(request, "POST", path)
    if shown is None or sent is None:
        return shown is not None
    return len(shown.param_convertors) <= len(sent.param_convertors)


def _route_at(request: Request, method: str, path: str) -> Route | None:
    scope = {"type": "http", "method": method, "path": unquote(path)}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(scope)[0] is Match.FULL:
            return route
    return None


def local_path(given: str | None) -> str:
    """Returns where to go on: a path of ours, else the signed-in person's own page."""
    return given if given and len(given) <= 500 and _LOCAL.fullmatch(given) else HOME


def client_of(request: Request) -> Client:
    """Returns where a request comes from."""
    return Client(visit_of(request).address, request.headers.get("user-agent", ""))


def note(request: Request, rooms: Rooms, signed: SignedIn, kind: str, detail: str) -> None:
    """Adds to one's own access log what was done by a page. Writes `account_event`."""
    rooms.people.accounts.log(signed.person.id, kind, detail=detail, client=client_of(request))


def set_session(response: Response, rooms: Rooms, token: str) -> None:
    """Gives the browser its session. Until it closes; the server ends it sooner."""
    secure = is_secure(rooms)
    response.set_cookie(
        _HOST_COOKIE if secure else _COOKIE,
        token,
        path="/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def drop_session(response: Response, rooms: Rooms) -> None:
    """Takes the browser's session away."""
    secure = is_secure(rooms)
    response.delete_cookie(
        _HOST_COOKIE if secure else _COOKIE,
        path="/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def device_shown(request: Request, rooms: Rooms) -> str | None:
    """Returns what the browser is known again by, where somebody signed in on it before."""
    return request.cookies.get(_HOST_DEVICE if is_secure(rooms) else _DEVICE)


def set_device(response: Response, rooms: Rooms, token: str) -> None:
    """Lets the browser be known again. It opens nothing."""
    secure = is_secure(rooms)
    response.set_cookie(
        _HOST_DEVICE if secure else _DEVICE,
        token,
        max_age=int(KNOWN_FOR.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def is_secure(rooms: Rooms) -> bool:
    """Whether the public address is https."""
    return rooms.base_url.startswith("https:")


def find_signed(request: Request, rooms: InRooms) -> SignedIn | None:
    """Returns who has signed in, whatever is still owed; None for nobody."""
    token = request.cookies.get(_HOST_COOKIE if is_secure(rooms) else _COOKIE)
    return rooms.people.sessions.resume(token) if token else None


MaybeSigned = Annotated[SignedIn | None, Depends(find_signed)]


def require_signed(signed: MaybeSigned) -> SignedIn:
    """Returns who has signed in and owes nothing. Raises Led."""
    if signed is None:
        raise Led("sign_in_needed", to="/sign-in")
    match signed.stage:
        case "code":
            raise Led("sign_in_needed", to="/sign-in/code")
        case "password":
            raise Led("sign_in_needed", to="/account/password")
        case "full":
            return signed


InSigned = Annotated[SignedIn, Depends(require_signed)]


def require_confirmed(request: Request, rooms: InRooms, signed: InSigned) -> SignedIn:
    """Returns who has signed in and gave the password a short while ago. Raises Led.

    A form may come as much later again: what was typed into it would be lost.
    """
    filling = request.scope["method"] == "POST"
    if not signed.is_confirmed(rooms.clock.now(), filling=filling):
        raise Led("confirm_needed", to="/confirm")
    return signed


InConfirmed = Annotated[SignedIn, Depends(require_confirmed)]
