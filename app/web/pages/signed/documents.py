"""/desk/documents/{digest}: a document that went with an objection, a decision or an entry, to be saved."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from app.web.body import StrictRoute
from app.web.deps import InRooms
from app.web.documentfile import answer_document
from app.web.pages.signed.session import InSigned

router = APIRouter(route_class=StrictRoute, include_in_schema=False)


@router.get("/desk/documents/{digest}")
def read_document(
    rooms: InRooms, signed: InSigned, digest: Annotated[str, Path(max_length=64)]
) -> Response:
    """Returns the file to whoever may read it; to nobody else does it exist."""
    return answer_document(rooms.documents.read(signed.person.principal(), digest))
