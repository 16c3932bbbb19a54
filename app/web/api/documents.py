"""Documents that go with an objection, a wish for repair, a decision or an entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from fastapi import Path, Response
from pydantic import BaseModel

from app.credit.document_uses import Named
from app.credit.documents import Handed, Kept, Told
from app.kit.clock import format_time, format_time_if
from app.web.body import api_router
from app.web.deps import Caller, InRooms
from app.web.documentfile import answer_document
from app.web.openapi import problems
from app.web.upload import InUpload

router = api_router(tag="credit")

_DIGEST: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
_Digest = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", examples=[_DIGEST])]
_FORM: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "string",
                            "format": "binary",
                            "description": "PDF, JPEG, PNG or WebP, told by its bytes; at most 5 MB.",
                        }
                    },
                }
            }
        },
    }
}
_BYTES: Final = {"schema": {"type": "string", "format": "binary"}}
_KINDS: Final = ("application/pdf", "image/jpeg", "image/png", "image/webp")


class DocumentOut(BaseModel):
    """A document that is kept. `waits_until`: when it is removed unless a record names its digest."""

    digest: str
    name: str
    media_type: str
    size: int
    kept_at: str
    waits_until: str | None = None
    links: dict[str, str]


class NamedDocumentOut(BaseModel):
    """A document that a record names.

    `kept`: whether it was handed in here; else who sent the digest keeps it. The rest is for who may read it.
    """

    digest: str
    kept: bool
    name: str | None = None
    media_type: str | None = None
    size: int | None = None
    links: dict[str, str] | None = None


@router.post(
    "/documents",
    status_code=201,
    summary="Hand in a document",
    responses={
        200: {"description": "It is kept already.", "model": DocumentOut},
        **problems("forbidden", "malformed"),
    },
    response_model_exclude_none=True,
    openapi_extra=_FORM,
)
def hand_in(rooms: InRooms, caller: Caller, upload: InUpload, answer: Response) -> DocumentOut:
    """Keeps a file for the party, sealed; its `digest` is what `attachments` of a later call name.

    The same content again is kept once, under its first name. What no record names within a day is removed.
    """
    file = Handed(("file",), upload.name, upload.raw)
    ((kept, replayed),) = rooms.documents.keep(caller, [file])
    if replayed:
        answer.status_code = 200
    answer.headers["Location"] = f"/api/v1/documents/{kept.digest}"
    return _kept(kept)


@router.get(
    "/documents/{digest}",
    summary="Read a document",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": dict.fromkeys(_KINDS, _BYTES)},
        **problems("forbidden", "not-found", "document-altered"),
    },
)
def read_document(rooms: InRooms, caller: Caller, digest: _Digest) -> Response:
    """Returns the file as it was handed in: to whose it is, whom it is about, and regulators in charge.

    That is the party one of whose entries, listings or commitments names it by the word of who handed it
    in, and regulators in office for that party. To nobody else does it exist.
    """
    return answer_document(rooms.documents.read(caller, digest))


def named_out(
    told: Mapping[Named, Told], by: str, digests: Iterable[Any]
) -> tuple[NamedDocumentOut, ...] | None:
    """Returns the documents that `by` named by these digests, None where the reader is told nothing."""
    found = [told[by, digest] for digest in digests if (by, digest) in told]
    return tuple(map(_named, found)) or None


def _named(told: Told) -> NamedDocumentOut:
    one = told.document
    if one is None:
        return NamedDocumentOut(digest=told.digest, kept=told.kept)
    return NamedDocumentOut(
        digest=told.digest,
        kept=True,
        name=one.name,
        media_type=one.kind,
        size=one.size,
        links=_links(one),
    )


def _kept(one: Kept) -> DocumentOut:
    return DocumentOut(
        digest=one.digest,
        name=one.name,
        media_type=one.kind,
        size=one.size,
        kept_at=format_time(one.kept_at),
        waits_until=format_time_if(one.waits_until),
        links=_links(one),
    )


def _links(one: Kept) -> dict[str, str]:
    return {"self": f"/api/v1/documents/{one.digest}"}
