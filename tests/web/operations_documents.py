"""Operations on documents that go with what a party or an authority says."""

from __future__ import annotations

from app.credit.document_kinds import MOST_BYTES
from tests.credit.files import HTML, JPEG, large_pdf, pdf
from tests.web.conftest import CARRIER, SHOP
from tests.web.market import RIVAL
from tests.web.operations import ABSENT, INVALID, Bad, Operation
from tests.web.operations_imports import form

_D = "/api/v1/documents"

DOCUMENTS: dict[tuple[str, str], Operation] = {
    ("POST", _D): Operation(
        path=_D, by=SHOP, scope="credit", raw=lambda _: form(pdf("handed in")),
        bad=(
            Bad(name="no file", raw=form(None), answer=INVALID, kind="missing"),
            Bad(name="an empty one", raw=form(b""), answer=INVALID, kind="file_empty"),
            Bad(name="a page", raw=form(HTML), answer=INVALID, kind="file_kind"),
            Bad(name="half of a picture", raw=form(JPEG[:-40]), answer=INVALID, kind="file_damaged"),
            Bad(name="too large", raw=form(large_pdf(MOST_BYTES + 1)), answer=INVALID,
                kind="file_too_large"),
        ),
    ),
    ("GET", _D + "/{digest}"): Operation(
        path=_D + "/{digest}", by=SHOP, scope="credit",
        bad=(
            Bad(name="somebody else's", by=RIVAL, answer=ABSENT),
            Bad(name="a carrier", by=CARRIER, answer=ABSENT),
            Bad(name="unknown", path=f"{_D}/{'0' * 64}", answer=ABSENT),
            Bad(name="no digest", path=f"{_D}/x", answer=INVALID, kind="pattern"),
        ),
    ),
}  # fmt: skip
