"""The app: routes, files and what stands before them. What answers is joined in app.rooms."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from functools import cache, partial
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from app.config import Settings
from app.kit.errors import Fault
from app.rooms import close_rooms, open_rooms
from app.web import aggregators, docs
from app.web.api import (
    audit_reports,
    authority,
    badges,
    carriers,
    cases,
    codes,
    commitments,
    complaints,
    customs,
    decisions,
    documents,
    entries,
    events,
    figures,
    heads,
    health,
    imports,
    labels,
    licences,
    lists,
    log,
    offers,
    oversight,
    packages,
    parties,
    products,
    publications,
    push_addresses,
    ranking,
    ratings,
    recalls,
    reports,
    search,
    standing,
    subjects,
    texts,
    underway,
    webhooks,
)
from app.web.api import (
    credit_store as credit_store_api,
)
from app.web.deps import Rooms
from app.web.gate import Gate
from app.web.openapi import describe_api
from app.web.pages import (
    badge,
    camera,
    carried,
    forms,
    logpage,
    privacy,
    reportcheck,
    tickets,
    verify,
)
from app.web.pages import routes as pages
from app.web.pages import standing as standing_pages
from app.web.pages.signed import session
from app.web.pages.signed.routers import SIGNED_ROUTERS
from app.web.pages.versions import DESK_PATH, MODULES_PATH
from app.web.problems import handle_fault, handle_http, handle_validation
from app.web.short import Shortcuts
from app.web.squeeze import Squeeze
from app.web.visit import add_request_id

STATIC = Path(__file__).parents[1] / "static"

# In the order in which they are asked; the hot one first, for each that is passed over costs time.
ROUTERS = (
    pages.router,
    health.router,
    parties.router,
    licences.router,
    products.router,
    subjects.router,
    codes.router,
    labels.router,
    events.router,
    events.event_router,
    events.batch_router,
    log.router,
    log.api,
    heads.api,
    oversight.router,
    decisions.router,  # before standing, whose path would take its name for a party
    authority.router,
    publications.router,
    customs.router,
    audit_reports.router,
    packages.router,
    figures.router,
    badges.router,
    standing.router,
    credit_store_api.router,
    entries.router,
    documents.router,
    ranking.router,
    offers.router,
    search.router,
    commitments.router,
    lists.router,
    ratings.router,
    recalls.router,
    webhooks.router,
    imports.router,
    carriers.router,
    push_addresses.router,
    aggregators.router,
    underway.router,
    cases.router,
    texts.router,
    complaints.router,
    reports.router,
    docs.router,
    verify.router,
    standing_pages.router,
    camera.router,
    tickets.router,
    privacy.router,
    logpage.router,
    reportcheck.router,
    badge.router,
    forms.router,
    carried.router,
    *SIGNED_ROUTERS,
)

Beside = Callable[[Rooms], AbstractContextManager[object]]
"""What runs while the app does, given its rooms: the worker's loops."""


def configure_logs(level: str) -> None:
    """Lets every event of `level` and above be one line of JSON on stderr, with its request's id.

    Without this structlog draws tracebacks with the values of local variables: secrets among them.
    """
    structlog.configure(
        processors=[
            add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Asked for anew each time, since a supervisor or a test may put another stderr in place.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def create_app(
    settings: Settings, *, rooms: Rooms | None = None, beside: Beside = nullcontext
) -> FastAPI:
    """Returns the app. It opens `rooms` when it starts unless they are given, and closes them.

    Without being started it only describes itself (`app.openapi()`).
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        running = rooms if rooms is not None else await run_in_threadpool(open_rooms, settings)
        app.state.rooms = running
        try:
            with beside(running):
                if running.lending is not None:
                    running.lending.start()
                try:
                    yield
                finally:
                    if running.lending is not None:
                        await running.lending.close()
        finally:
            await run_in_threadpool(close_rooms, running)

    configure_logs(settings.log_level)
    app = FastAPI(
        lifespan=lifespan,
        # The pages of FastAPI load scripts from elsewhere; ours is app.web.docs.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Nothing of ours listens to it, and to ask whether anybody does costs every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    for router in ROUTERS:
        # Each route as it is: `include_router` makes all of them once more for the first who asks for
        # one of the last, which takes half a second and 5 MB, and tries each of them twice.
        app.router.routes.extend(router.routes)
    app.state.problem_page = pages.problem_page
    app.state.problem_shapes = {aggregators.PREFIX: aggregators.answer_fault}
    app.mount(DESK_PATH, verify.Modules(directory=STATIC / "desk"), name="desk")
    app.mount(MODULES_PATH, verify.Modules(directory=STATIC / "verify"), name="modules")
    app.mount(camera.CAMERA_PATH, verify.Modules(directory=STATIC / "camera"), name="camera")
    if decoder := camera.decoder_path():
        app.mount(decoder, verify.Modules(directory=camera.DECODER), name="decoder")
    app.mount("/static", verify.Styles(directory=STATIC), name="static")
    app.add_middleware(Squeeze, secret_cookies=(*session.COOKIES, carried.COOKIE))
    app.add_middleware(Shortcuts, answers=events.SHORT_ANSWERS)
    app.add_middleware(
        Gate,
        anonymous_per_second=settings.anonymous_per_second,
        key_per_second=settings.key_per_second,
        trusted_proxies=settings.trusted_proxies,
        https=settings.base_url.startswith("https:"),
        region_header=settings.region_header,
    )
    app.add_exception_handler(Fault, handle_fault)
    app.add_exception_handler(RequestValidationError, handle_validation)
    app.add_exception_handler(HTTPException, handle_http)
    app.openapi = cache(partial(describe_api, app))  # type: ignore[method-assign]
    return app
