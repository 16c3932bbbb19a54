"""Every router of the pages for people who sign in; a new page's is added here."""

from __future__ import annotations

from app.web.pages.signed import (
    account,
    apply,
    batches,
    cases,
    complaints,
    credit,
    decisions,
    desk,
    dispatch,
    entry,
    import_mapping,
    imports,
    keys,
    people,
    products,
    promises,
    reviews,
    shipments,
    sign_in,
    webhooks,
)

SIGNED_ROUTERS = (
    sign_in.router,
    account.router,
    people.router,
    keys.router,
    webhooks.router,
    apply.router,
    desk.router,
    import_mapping.router,  # before imports, whose path would take its name for a job
    imports.router,
    products.router,
    batches.router,
    shipments.router,
    entry.router,
    dispatch.router,
    cases.router,
    promises.router,
    credit.router,
    decisions.router,
    reviews.router,
    complaints.router,
)
