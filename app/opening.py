"""The rooms of a deployment, open for as long as one command takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.config import Settings
from app.setup import check_set_up

if TYPE_CHECKING:
    from app.web.deps import Rooms


@contextlib.contextmanager
def opened_rooms(settings: Settings, *, log_level: str | None = None) -> Iterator[Rooms]:
    """Yields the services of what `init` made. log_level: another than the settings'.

    Logs go to stderr: standard output is the answer's. Raises NotSetUp, DatabaseBehind, KeysMissing.
    """
    # Here, so that a command which needs no rooms begins without the whole program.
    from app.main import configure_logs  # noqa: PLC0415
    from app.rooms import close_rooms, open_rooms  # noqa: PLC0415

    check_set_up(settings)
    configure_logs(log_level or settings.log_level)
    rooms = open_rooms(settings)
    try:
        yield rooms
    finally:
        close_rooms(rooms)
