"""Operations on audits' reports, evidence packages, figures and badges."""

from __future__ import annotations

from tests.web.conftest import AUTHORITY, SHOP
from tests.web.market import RIVAL
from tests.web.operations import (
    ABSENT,
    BAD_GTIN,
    FORBIDDEN,
    INVALID,
    PAGES,
    UNKNOWN,
    UNKNOWN_GTIN,
    Bad,
    Operation,
)

_FOREIGN = Bad(name="foreign audit", by=SHOP, answer=FORBIDDEN)
_KEY_NEEDED = (401, "unauthenticated")
_PURPOSE = Bad(name="no purpose", query="sealed=true", by=AUTHORITY, answer=INVALID, kind="length")
_SEALED = (
    Bad(name="sealed for nobody", query="sealed=true", answer=_KEY_NEEDED),
    _PURPOSE,
    Bad(name="sealed perhaps", query="sealed=perhaps", answer=INVALID, kind="type"),
)

PROOF = {
    ("GET", "/api/v1/audits"): Operation(
        path="/api/v1/audits", by=AUTHORITY, scope="audit", bad=PAGES
    ),
    ("GET", "/api/v1/audits/{audit_id}/findings"): Operation(
        path="/api/v1/audits/{audit}/findings", by=AUTHORITY, scope="audit",
        bad=(
            *PAGES,
            Bad(name="unknown", path="/api/v1/audits/x/findings", answer=ABSENT),
            _FOREIGN,
        ),
    ),
    ("POST", "/api/v1/audits/{audit_id}/report"): Operation(
        path="/api/v1/audits/{audit}/report", by=AUTHORITY, scope="audit",
        bad=(
            Bad(name="unknown", path="/api/v1/audits/x/report", answer=ABSENT),
            Bad(name="not done", path="/api/v1/audits/{waiting}/report",
                answer=(409, "audit-not-done")),
            _FOREIGN,
        ),
    ),
    ("GET", "/api/v1/audits/{audit_id}/report"): Operation(
        path="/api/v1/audits/{audit}/report", by=AUTHORITY, scope="audit",
        bad=(
            Bad(name="unknown", path="/api/v1/audits/x/report", answer=ABSENT),
            Bad(name="not made", path="/api/v1/audits/{waiting}/report", answer=ABSENT),
            _FOREIGN,
        ),
    ),
    ("GET", "/api/v1/audits/{audit_id}/report.pdf"): Operation(
        path="/api/v1/audits/{audit}/report.pdf", by=AUTHORITY, scope="audit",
        bad=(
            Bad(name="unknown", path="/api/v1/audits/x/report.pdf", answer=ABSENT),
            Bad(name="another language", query="lang=fr", answer=INVALID, kind="enum"),
            _FOREIGN,
        ),
    ),
    ("GET", "/api/v1/audit-reports/{audit_id}"): Operation(
        path="/api/v1/audit-reports/{audit}",
        bad=(Bad(name="unknown", path="/api/v1/audit-reports/x", answer=ABSENT),),
    ),
    ("GET", "/api/v1/codes/{gtin}/{serial}/evidence.zip"): Operation(
        path="/api/v1/codes/{gtin}/{serial}/evidence.zip",
        bad=(
            Bad(name="bad check digit", path=f"/api/v1/codes/{BAD_GTIN}/A/evidence.zip",
                answer=INVALID, kind="check_digit"),
            Bad(name="unknown unit", path="/api/v1/codes/{gtin}/NOBODY/evidence.zip",
                answer=UNKNOWN),
            *_SEALED,
        ),
    ),
    ("GET", "/api/v1/lots/{gtin}/{lot}/evidence.zip"): Operation(
        path="/api/v1/lots/{gtin}/A%2F1/evidence.zip",
        bad=(
            Bad(name="unknown lot", path="/api/v1/lots/{gtin}/NONE/evidence.zip", answer=UNKNOWN),
            *_SEALED,
        ),
    ),
    ("GET", "/api/v1/products/{gtin}/evidence.zip"): Operation(
        path="/api/v1/products/{gtin}/evidence.zip",
        bad=(
            Bad(name="unknown product", path=f"/api/v1/products/{UNKNOWN_GTIN}/evidence.zip",
                answer=UNKNOWN),
            *_SEALED,
        ),
    ),
    ("GET", "/api/v1/findings/{finding}/evidence.zip"): Operation(
        path="/api/v1/findings/{finding}/evidence.zip", by=SHOP, scope="audit",
        bad=(
            Bad(name="unknown", path="/api/v1/findings/x/evidence.zip", answer=ABSENT),
            Bad(name="foreign finding", by=RIVAL, answer=ABSENT),
        ),
    ),
    ("GET", "/api/v1/figures"): Operation(
        path="/api/v1/figures", by=AUTHORITY, scope="audit",
        bad=(
            Bad(name="no months", query="months=0", answer=INVALID, kind="range"),
            Bad(name="too many", query="months=37", answer=INVALID, kind="range"),
            Bad(name="a seller", by=SHOP, answer=FORBIDDEN),
        ),
    ),
    ("POST", "/api/v1/badge-domains"): Operation(
        path="/api/v1/badge-domains", by=SHOP, scope="credit",
        body=lambda _: {"domain": "other.example"},
        bad=(
            Bad(name="no domain", body={"domain": "a b"}, answer=INVALID, kind="domain"),
            Bad(name="a private one", body={"domain": "localhost"}, answer=INVALID, kind="domain"),
            Bad(name="an authority", by=AUTHORITY, answer=FORBIDDEN),
        ),
    ),
    ("GET", "/api/v1/badge-domains"): Operation(
        path="/api/v1/badge-domains", by=SHOP, scope="credit",
        bad=(Bad(name="an authority", by=AUTHORITY, answer=FORBIDDEN),),
    ),
    ("POST", "/api/v1/badge-domains/{domain}/check"): Operation(
        path="/api/v1/badge-domains/shop.example/check", by=SHOP, scope="credit",
        bad=(
            Bad(name="unknown", path="/api/v1/badge-domains/x.example/check", answer=ABSENT),
            Bad(name="foreign", by=RIVAL, answer=ABSENT),
        ),
    ),
    ("DELETE", "/api/v1/badge-domains/{domain}"): Operation(
        path="/api/v1/badge-domains/shop.example", by=SHOP, scope="credit",
        bad=(
            Bad(name="unknown", path="/api/v1/badge-domains/x.example", answer=ABSENT),
            Bad(name="foreign", by=RIVAL, answer=ABSENT),
        ),
    ),
}  # fmt: skip
