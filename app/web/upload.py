"""A file sent as multipart/form-data (RFC 7578), read in memory and nowhere else.

The usual parser puts larger files into a temporary file on disk; an order export has names and
telephone numbers in it, and nothing of it may be written that is not meant to be kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from app.kit.errors import FieldFault, Malformed, UnsupportedMedia, invalid
from app.web.body import MAX_FORM_BYTES
from app.web.deps import Caller
from app.web.paths import CONTROL

_MAX_FIELD_BYTES = 2 * 1024 * 1024


class InMemory(MultiPartParser):
    """A parser whose files stay in memory."""

    spool_max_size = MAX_FORM_BYTES + 1
    """Above what the gate lets in, so that no file ever reaches the disk."""

    def close(self) -> None:
        """Lets go of what was read."""
        for file in self._files_to_close_on_error:
            file.close()


@dataclass(frozen=True, slots=True)
class Upload:
    """The bytes of the part `file`, the text parts beside it, and the name that the file came under."""

    raw: bytes
    fields: dict[str, str]
    name: str = ""


async def _read_upload(request: Request, _caller: Caller) -> Upload:
    """Raises UnsupportedMedia, Malformed, Invalid. Who may not ask is told so before: `_caller`."""
    given = request.headers.get("content-type", "")
    encoding = request.headers.get("content-encoding", "identity")
    if given.split(";")[0].strip().lower() != "multipart/form-data" or encoding != "identity":
        raise UnsupportedMedia("media_type_file", got=given[:80])
    parser = InMemory(
        request.headers, request.stream(), max_files=1, max_fields=8, max_part_size=_MAX_FIELD_BYTES
    )
    fields: dict[str, str] = {}
    raw: bytes | None = None
    called = ""
    try:
        form = await parser.parse()
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name == "file":
                    raw, called = await value.read(), value.filename or ""
            elif CONTROL.search(value):
                raise invalid(FieldFault((name[:80],), "control"))
            else:
                fields[name] = value
    except (MultiPartException, KeyError, ValueError, AssertionError) as err:
        raise Malformed("multipart") from err
    finally:
        parser.close()
    if raw is None:
        raise invalid(FieldFault(("file",), "missing"))
    return Upload(raw, fields, called)


InUpload = Annotated[Upload, Depends(_read_upload)]
