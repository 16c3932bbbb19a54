"""Products and lots: registering, reading, and the brand owner."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import Path, Query, Response
from pydantic import BaseModel, Field

from app.kit.clock import format_time, from_ms
from app.kit.errors import FieldFault, invalid
from app.trace.code import Code
from app.trace.gtin import display_gtin, parse_gtin
from app.trace.requests import SealedInput
from app.web.api.subjects import lot_code, product_code
from app.web.body import Body, Day, api_router
from app.web.deps import Caller, InRooms
from app.web.links import code_path
from app.web.openapi import problems
from app.web.paging import InPage, PageBody, page_response

router = api_router(tag="products")

Category = Literal[
    "edible_agricultural",
    "food",
    "drug",
    "medical_device",
    "agricultural_input",
    "hazardous",
    "rare_earth",
    "cross_border",
    "consumer_goods",
    "other",
]
ImportMode = Literal["1210", "9610", "9710", "9810", "general"]
GTIN = Annotated[
    str, Path(description="GTIN-8, -12, -13 or -14.", examples=["06901234567892"], max_length=32)
]
LotPath = Annotated[
    str, Path(description="GS1 batch or lot, AI (10).", examples=["A1"], max_length=200)
]
_Short = Annotated[str | None, Field(max_length=100)]


class ProductIn(Body):
    """A product's public facts. Without `gtin` the goods get an item code of ours."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "gtin": "6901234567892",
                    "name": "端砚文房礼盒",
                    "category": "consumer_goods",
                    "brand": "示例",
                    "origin": "广东肇庆",
                }
            ]
        },
    }

    gtin: Annotated[str | None, Field(max_length=32)] = None
    name: Annotated[str, Field(min_length=1, max_length=200)]
    category: Category
    brand: _Short = None
    spec: Annotated[str | None, Field(max_length=200)] = None
    origin: _Short = None
    standard: _Short = None
    licence: _Short = None
    claim: bool = False


class OwnerIn(Body):
    """The brand owner, as an authority confirms it."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [{"party": "91441200MA4TE5T00Q", "evidence": "trade mark certificate"}]
        },
    }

    party: Annotated[str, Field(max_length=64)]
    evidence: Annotated[str, Field(min_length=1, max_length=500)]


class ImportIn(Body):
    """A lot's import section; the declaration number is sealed."""

    declaration: Annotated[str | None, Field(max_length=32)] = None
    mode: ImportMode
    port: Annotated[str, Field(min_length=1, max_length=64)]
    hs_code: Annotated[str | None, Field(max_length=16)] = None
    origin: Annotated[str, Field(min_length=1, max_length=64)]
    certificate: Annotated[str | None, Field(max_length=64)] = None
    plant: Annotated[str | None, Field(max_length=64)] = None
    recall_agent: Annotated[str | None, Field(max_length=64)] = None


class LotIn(Body):
    """A lot of a product; `quantity` is sealed."""

    model_config = {
        **Body.model_config,
        "json_schema_extra": {
            "examples": [
                {
                    "gtin": "6901234567892",
                    "lot": "A1",
                    "produced_on": "2026-10-01",
                    "expires_on": "2027-10-01",
                    "quantity": 500,
                }
            ]
        },
    }

    gtin: Annotated[str, Field(max_length=32)]
    lot: Annotated[str, Field(max_length=64)]
    produced_on: Day | None = None
    expires_on: Day | None = None
    quantity: Annotated[int | None, Field(ge=1, le=10**12)] = None
    imported: Annotated[ImportIn | None, Field(alias="import")] = None


class OfferOut(BaseModel):
    """Who offers the product, and where."""

    seller: str
    place: str
    title: str | None = None
    listed_at: str


class ProductOut(BaseModel):
    """A product as registered. `gtin` is GTIN-14, `display` what stands on the pack."""

    gtin: str
    display: str
    name: str
    category: str
    brand: str | None = None
    spec: str | None = None
    origin: str | None = None
    standard: str | None = None
    licence: str | None = None
    item_code: bool
    registrant: str
    brand_owner: str | None = None
    differs: list[str] | None = None
    links: dict[str, str]


class ProductPage(ProductOut):
    """A product with its live offers, verdict and warnings."""

    code: str
    offers: list[OfferOut]
    verdict: str
    warnings: list[str]
    head: dict[str, Any]


class LotOut(BaseModel):
    """A lot as registered; quantity and declaration number are sealed and not shown."""

    code: str
    gtin: str
    lot: str
    party: str
    produced_on: str | None = None
    expires_on: str | None = None
    imported: Annotated[dict[str, Any] | None, Field(alias="import")] = None
    links: dict[str, str]


class LotPage(LotOut):
    """A lot with its verdict and warnings."""

    verdict: str
    warnings: list[str]
    head: dict[str, Any]


_REPEATED: dict[int | str, dict[str, Any]] = {
    200: {"description": "It was there before.", "model": ProductOut}
}


@router.post(
    "/products",
    status_code=201,
    summary="Register a product",
    responses={
        **_REPEATED,
        **problems("forbidden", "party-unverified", "id-conflict", "already-exists"),
    },
    response_model_exclude_none=True,
)
def register_product(
    rooms: InRooms, principal: Caller, body: ProductIn, response: Response
) -> ProductOut:
    """Registers a product once for all who sell it.

    A GTIN that another party registered answers 200 with the product as it is, and `differs` names
    the fields that were told otherwise. `claim` asks to be its brand owner.
    """
    facts = body.model_dump(exclude_none=True, exclude={"gtin", "claim"})
    done = rooms.catalogue.register_product(principal, facts, gtin=body.gtin, claim=body.claim)
    response.status_code = 200 if done.replayed else 201
    out = _product(done.row)
    if done.differs is not None:
        out = out.model_copy(update={"differs": list(done.differs)})
    return out


@router.get(
    "/products",
    summary="Find products",
    response_model=PageBody[ProductOut],
)
def list_products(
    rooms: InRooms,
    page: InPage,
    q: Annotated[str | None, Query(max_length=100)] = None,
    seller: Annotated[str | None, Query(max_length=64)] = None,
    category: Annotated[Category | None, Query()] = None,
) -> Response:
    """Lists products by part of a name or GTIN, by seller, by category."""
    after = page.after(str)
    rows = rooms.catalogue.find_products(
        text=q,
        seller=seller,
        category=category,
        after=after[0] if after else None,
        limit=page.limit + 1,
    )
    shown, following = page.cut(rows, lambda row: (row.gtin,))
    return page_response([_product(row) for row in shown], following)


@router.get(
    "/products/{gtin}",
    summary="Read a product",
    responses=problems("code-unknown"),
    response_model_exclude_none=True,
)
def read_product(rooms: InRooms, gtin: GTIN) -> ProductPage:
    """Returns a product with its live offers; below it `/events`, `/verification`, `/evidence`."""
    code = product_code(gtin)
    row = rooms.catalogue.product(code.gtin)
    look = rooms.looks.look(code)
    offers = rooms.catalogue.offers(code.gtin)
    return ProductPage(
        **_product(row).model_dump(),
        code=code.stream,
        offers=[
            OfferOut(
                seller=o.seller,
                place=o.place,
                title=o.title,
                listed_at=format_time(from_ms(o.listed_at)),
            )
            for o in offers
        ],
        verdict=look.verdict,
        warnings=list(look.warnings),
        head={"seq": look.story.head.seq, "hash": look.story.head.hash.hex()},
    )


@router.post(
    "/products/{gtin}/owner",
    summary="Confirm a brand owner",
    responses=problems("forbidden", "code-unknown", "party-unverified", "already-exists"),
    response_model_exclude_none=True,
)
def confirm_owner(rooms: InRooms, principal: Caller, gtin: GTIN, body: OwnerIn) -> ProductOut:
    """Confirms who owns the brand; by admin or regulator."""
    number = parse_gtin(gtin, allow_item_code=True)
    return _product(rooms.catalogue.confirm_owner(principal, number, body.party, body.evidence))


@router.post(
    "/lots",
    status_code=201,
    summary="Register a lot",
    responses={
        200: {"description": "It was there before.", "model": LotOut},
        **problems("forbidden", "code-unknown", "party-unverified", "id-conflict"),
    },
    response_model_exclude_none=True,
)
def register_lot(rooms: InRooms, principal: Caller, body: LotIn, response: Response) -> LotOut:
    """Registers a lot of a product; it belongs to who registers it."""
    facts: dict[str, Any] = {}
    sealed: dict[str, SealedInput] = {}
    if body.produced_on is not None:
        facts["produced_on"] = body.produced_on
    if body.expires_on is not None:
        facts["expires_on"] = body.expires_on
        if body.produced_on is not None and body.expires_on < body.produced_on:
            params = {"expected": f"≥ {body.produced_on}", "got": body.expires_on}
            raise invalid(FieldFault(("expires_on",), "range", params))
    if body.quantity is not None:
        sealed["quantity"] = SealedInput({"quantity": body.quantity})
    if body.imported is not None:
        told = body.imported.model_dump(exclude_none=True)
        number = told.pop("declaration", None)
        facts["import"] = told
        if number is not None:
            number = rooms.catalogue.read_declaration(number)
            sealed["declaration"] = SealedInput({"number": number})
    done = rooms.catalogue.register_lot(
        principal, gtin=body.gtin, lot=body.lot, facts=facts, sealed=sealed
    )
    response.status_code = 200 if done.replayed else 201
    return _lot(done.row)


@router.get(
    "/lots/{gtin}/{lot}",
    summary="Read a lot",
    responses=problems("code-unknown"),
    response_model_exclude_none=True,
)
def read_lot(rooms: InRooms, gtin: GTIN, lot: LotPath) -> LotPage:
    """Returns a lot; below it `/events`, `/verification`, `/evidence`."""
    code = lot_code(gtin, lot)
    row = rooms.catalogue.lot(code)
    look = rooms.looks.look(code)
    return LotPage(
        **_lot(row).model_dump(by_alias=True),
        verdict=look.verdict,
        warnings=list(look.warnings),
        head={"seq": look.story.head.seq, "hash": look.story.head.hash.hex()},
    )


def _product(row: Any) -> ProductOut:
    path = code_path(f"01/{row.gtin}")
    return ProductOut(
        gtin=row.gtin,
        display=display_gtin(row.gtin),
        name=row.name,
        category=row.category,
        item_code=row.item_code,
        registrant=row.registrant,
        brand_owner=row.brand_owner,
        links={"self": path, "events": f"{path}/events", "page": f"/01/{row.gtin}"},
        **json.loads(row.facts),
    )


def _lot(row: Any) -> LotOut:
    stream = Code(row.gtin, lot=row.lot).stream
    path = code_path(stream)
    return LotOut(
        code=stream,
        gtin=row.gtin,
        lot=row.lot,
        party=row.party,
        links={"self": path, "events": f"{path}/events", "page": f"/{stream}"},
        **json.loads(row.facts),
    )
