"""Views of the pages on credit, policy and zone to HTML."""

from __future__ import annotations

from markupsafe import Markup

from app.web.pages.chart import DESK, PHONE, draw_course
from app.web.pages.render import render_page
from app.web.pages.standing_views import DossierView, PolicyView, SearchView, ZoneView


def render_dossier(view: DossierView) -> str:
    """Returns a party's dossier. A natural person's is for who asks for it, not for search engines."""
    indexable = not view.holder.exempt
    return render_page(
        "dossier.html", view.frame, view=view, pictures=draw_courses(view), indexable=indexable
    )


def draw_courses(view: DossierView) -> list[Markup]:
    """Returns the score over time, drawn for a phone and for a desk."""
    return [
        draw_course(view.course, view.numbers, view.policy, view.frame.lang, size)
        for size in (PHONE, DESK)
    ]


def render_policy(view: PolicyView) -> str:
    """Returns a version of the policy for people to read."""
    return render_page("policy.html", view.frame, view=view, indexable=True)


def render_zone(view: ZoneView, following: str = "") -> str:
    """Returns a page of the zone. following: cursor of the next page, "" where there is none."""
    return render_page("zone.html", view.frame, view=view, following=following, indexable=True)


def render_search(view: SearchView, following: str = "") -> str:
    """Returns a page of what was found. following: cursor of the next page, "" where there is none."""
    return render_page("search.html", view.frame, view=view, following=following)
