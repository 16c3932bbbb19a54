"""The frame around a signed-in person's pages: who it is, and where one may go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from app.imports.plans import may_import
from app.parties.roles import (
    AGGREGATOR,
    CARRIER,
    MERCHANT,
    OFFICIAL_ROLES,
    PLATFORM,
    SELLER_ROLES,
    SUPPLIER,
    may_within,
    reach,
)
from app.parties.sessions import Person, SignedIn
from app.web.pages.answers import answer_page
from app.web.pages.render import render_page
from app.web.pages.views import Frame


@dataclass(frozen=True, slots=True)
class Item:
    """A place in the rail. key: its sentence is `nav.<key>`. shows: to whom.

    on_phone: whether it stands in the bar at a phone's lower edge, which has room for four; what is not
    there is reached from /account.
    """

    key: str
    path: str
    shows: Callable[[Person], bool]
    on_phone: bool = True


def _everybody(_: Person) -> bool:
    return True


def does(action: str, *, roles: frozenset[str] | None = None) -> Callable[[Person], bool]:
    """Returns whether a person may do `action` (roles.ACTIONS) at all; roles: of these alone."""

    def shows(person: Person) -> bool:
        if roles is not None and not roles & person.roles:
            return False
        # Not of its principal: an applicant, who is nobody's yet, has a menu too.
        return may_within(person.roles, person.scopes, action)

    return shows


def _of_a_party(action: str) -> Callable[[Person], bool]:
    return lambda person: person.party is not None and does(action)(person)


_MOVERS = frozenset({MERCHANT, SUPPLIER, PLATFORM, CARRIER, AGGREGATOR})


def _sees_own_credit(person: Person) -> bool:
    # An authority has no score of its own to look after.
    own = person.party is not None and not person.roles & OFFICIAL_ROLES
    return own and does("credit.object")(person)


def _has_licences(person: Person) -> bool:
    # An authority shows none.
    own = person.party is not None and not person.roles & OFFICIAL_ROLES
    return own and does("licence.tell")(person)


def sees_all_findings(person: Person) -> bool:
    """Whether somebody oversees everybody: authorities and the operator."""
    return does("finding.read")(person) and reach(person.roles, "finding.read") == "any"


def _may_import(person: Person) -> bool:
    # Who applied speaks for nobody: there is no principal to ask about.
    return person.party is not None and may_import(person.principal())


ITEMS: tuple[Item, ...] = (
    Item("desk", "/desk", _everybody),
    Item("products", "/desk/products", _of_a_party("product.register")),
    Item("shipments", "/desk/shipments", does("event.send", roles=_MOVERS)),
    Item("imports", "/desk/imports", _may_import, on_phone=False),
    Item("credit", "/desk/credit", _sees_own_credit, on_phone=False),
    Item("reviews", "/desk/reviews", does("voice.read", roles=SELLER_ROLES), on_phone=False),
    Item("complaints", "/desk/complaints", does("voice.read"), on_phone=False),
    Item("texts", "/desk/texts", does("text.hide"), on_phone=False),
    Item("recalls", "/desk/recalls", _of_a_party("recall.read"), on_phone=False),
    Item("reports", "/desk/reports", does("report.read"), on_phone=False),
    Item("decisions", "/desk/decisions", does("credit.decide"), on_phone=False),
    Item("search", "/desk/search", _of_a_party("desk.search")),
    Item("findings", "/desk/findings", _of_a_party("finding.work")),
    Item("publications", "/desk/publications", _of_a_party("finding.attribute"), on_phone=False),
    Item("customs", "/desk/customs", _of_a_party("customs.decide"), on_phone=False),
    Item("looks", "/desk/looks", does("access.read"), on_phone=False),
    Item("audits", "/desk/audits", does("audit.start"), on_phone=False),
    Item("figures", "/desk/figures", sees_all_findings, on_phone=False),
    Item("evidence", "/desk/evidence", does("finding.read"), on_phone=False),
    Item("licences", "/desk/licences", _has_licences, on_phone=False),
    Item("licence_checks", "/desk/licence-checks", does("party.verify"), on_phone=False),
    Item("applications", "/applications", lambda person: person.is_operator),
    Item("order_counts", "/desk/order-counts", _of_a_party("orders.report"), on_phone=False),
    Item("badge", "/desk/badge", _of_a_party("badge.manage"), on_phone=False),
    Item("people", "/account/people", lambda person: person.manages, on_phone=False),
    Item("keys", "/account/keys", _of_a_party("key.manage"), on_phone=False),
    Item("mandates", "/account/mandates", _of_a_party("mandate.manage"), on_phone=False),
    Item("push", "/account/push", _of_a_party("push.manage"), on_phone=False),
    Item("webhooks", "/account/webhooks", _of_a_party("webhook.manage"), on_phone=False),
    Item("account", "/account", _everybody),
)
"""Every place, in the order in which they stand. A new one is added here, and its handler checks too."""


def places_of(person: Person) -> tuple[Item, ...]:
    """Returns where a person may go."""
    return tuple(item for item in ITEMS if item.shows(person))


def answer_signed(
    template: str,
    frame: Frame,
    signed: SignedIn,
    *,
    at: str,
    status: int = 200,
    **values: Any,
) -> Response:
    """Returns a page that extends signed.html. at: key of its place in the rail."""
    html = render_page(
        template,
        frame,
        person=signed.person,
        csrf=signed.csrf,
        places=places_of(signed.person),
        at=at,
        **values,
    )
    return answer_page(html, frame.lang, status=status)


def go_on(frame: Frame, path: str, *, told: str = "") -> Response:
    """Returns the way on after a form was taken. told: which sentence `told.<…>` the page then says."""
    query = [f"lang={frame.lang}"] if frame.language_chosen else []
    query += [f"told={quote(told)}"] if told else []
    joint = "&" if "?" in path else "?"
    return RedirectResponse(path + (joint + "&".join(query) if query else ""), 303)


_TOLD = frozenset(
    {
        "password_changed", "sessions_ended", "session_ended", "second_off", "uninvited",
        "moved", "disabled", "enabled", "key_revoked", "hook_ended", "hook_tested", "resent",
        "application_accepted", "application_refused", "applied", "signed_out", "session_over", "unsaved",
        "objected", "repair_asked", "removal_asked", "promise_signed", "promise_withdrawn", "decided",
        "replied", "complaint_said", "complaint_accepted", "complaint_refused", "complaint_referred",
        "finding_assigned", "finding_released", "finding_unmoved", "finding_noted", "finding_attributed",
        "finding_dismissed", "measure_recorded",
        "corrected", "rated",
        "import_dropped", "product_kept", "product_others", "lot_kept", "mapping_kept", "mapping_forgotten",
        "report_made", "report_closed", "labels_none",
        "licence_told", "licence_ended", "licence_withdrawn", "licence_verified", "licence_rejected",
        "measure_published",
        "recall_made", "recall_lifted", "recall_lifted_others",
        "measure_lifted", "entry_made", "listing_made", "text_hidden", "text_shown",
        "push_ended",
        "signing_key_added", "signing_key_revoked", "mandate_given", "mandate_ended", "orders_told",
        "domain_added", "domain_found", "domain_missing", "domain_dropped",
    }
)  # fmt: skip


def told_of(request: Request) -> str:
    """Returns which sentence the page before asked for, "" for none of ours."""
    told = request.query_params.get("told", "")
    return told if told in _TOLD else ""
