"""Every router of the pages for people who sign in; a new page's is added here."""

from __future__ import annotations

from app.web.pages.signed import account, apply, desk, keys, people, sign_in, webhooks

SIGNED_ROUTERS = (
    sign_in.router,
    account.router,
    people.router,
    keys.router,
    webhooks.router,
    apply.router,
    desk.router,
)
