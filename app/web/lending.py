"""Unit pages that another process of the service makes, while this one has one to make already.

The kernel gives a connection to one of the processes, by chance and for as long as it lasts. So one has
three pages to make while another has none, and the third reader waits for two others. Whoever has no
turn free therefore puts what was asked where all of them look, and whoever has one takes what was put
there first: most often another process, else the same one later. The answer comes back whole.

What travels is pickled: all ends are one program, forked from one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from typing import Any

import structlog
from starlette.responses import Response

from app.web.turns import Turns

log = structlog.get_logger(__name__)

Asked = tuple[Any, ...]
"""What a page follows from, as plain values."""
Page = Callable[[], Awaitable[Response]]

# A packet is sent whole or not at all; Linux holds some 200 KB for a socket.
_PACKET_BYTES = 1 << 16
_HEAD = struct.Struct("!Q?")  # the number of what was asked; whether this is the last part
_PART_BYTES = _PACKET_BYTES - _HEAD.size
# A longer question is not put: a few of them would fill what the system holds.
_QUESTION_BYTES = 1 << 13
# Longer than the most that may wait take. An answer that was lost is not waited for any longer.
_PATIENCE_S = 15


@dataclass(frozen=True, slots=True)
class Ends:
    """The sockets of one process, number `own`; every process has all but the others' `answers`.

    put, take: the two ends of what is asked. answers: where this one reads its own. tell: where it
    answers each of them, by number.
    """

    own: int
    put: socket.socket
    take: socket.socket
    answers: socket.socket
    tell: Sequence[socket.socket]


def open_ends(processes: int) -> list[Ends]:
    """Returns the ends of so many processes that are to be forked; [] where one alone could take.

    Or where there are no such sockets: then each makes its own pages.
    """
    if processes < 2 or not hasattr(socket, "SOCK_SEQPACKET"):
        return []
    try:
        put, take = _pair()
    except OSError:  # macOS knows the name and has no such sockets
        return []
    answers = [_pair() for _ in range(processes)]
    tell = [there for _, there in answers]
    return [Ends(own, put, take, answers[own][0], tell) for own in range(processes)]


def sockets_of(ends: Sequence[Ends]) -> set[socket.socket]:
    """Returns every socket of these ends."""
    return {one for end in ends for one in (end.put, end.take, end.answers, *end.tell)}


def _pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in pair:
        one.setblocking(False)  # noqa: FBT003 - the name of the call says it
    return pair


class Lending:
    """Gives pages away and takes others' in. Everything here is called on the event loop.

    show: makes the page of what another process was asked, in a turn of this one.
    """

    def __init__(
        self, ends: Ends, turns: Turns, *, show: Callable[[Asked], Awaitable[Response]]
    ) -> None:
        self._ends = ends
        self._turns = turns
        self._show = show
        self._numbers = itertools.count()
        self._waiting: dict[int, _Waiting] = {}
        # Of those, what could not be put: the system is full of what came before.
        self._unsent: deque[int] = deque()
        # What is to begin in this round of the loop and has not taken its turn yet.
        self._starting = 0
        self._parts: dict[int, bytes] = {}
        self._busy: set[asyncio.Task[None]] = set()
        # A loop waits for a socket to take more for one sender at a time.
        self._telling = [asyncio.Lock() for _ in ends.tell]
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begins to take pages in."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._ends.answers, self._hear)
        self._turns.watch = self._look
        self._look()

    async def close(self) -> None:
        """Returns when what was taken in is answered. What is put from now on, others take."""
        if self._loop is None:
            return
        self._turns.watch = _nothing
        self._loop.remove_reader(self._ends.take)
        await asyncio.gather(*self._busy)
        self._loop.remove_reader(self._ends.answers)
        self._loop = None

    async def run(self, asked: Asked, here: Page) -> Response:
        """Returns the page that `here` makes, or what another process made where no turn is free.

        Raises as `here`, and Overloaded.
        """
        # What waits already comes first, whoever was asked for it.
        if self._loop is None or (self._is_free and not self._begin_next()):
            return await here()
        self._turns.check_room(len(self._waiting))
        number = next(self._numbers)
        told = pickle.dumps((self._ends.own, number, asked), protocol=5)
        waiting = _Waiting(self._loop.create_future(), here, copy_context(), told)
        self._waiting[number] = waiting
        self._unsent.append(number)
        self._put()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                return await waiting.found
        except TimeoutError:
            log.warning("page.answer_lost")
            return await here()
        finally:
            del self._waiting[number]

    @property
    def _is_free(self) -> bool:
        return self._turns.is_free and not self._starting

    def _put(self) -> None:
        """Puts what could not be put before, in the order of asking, as far as it is taken."""
        left: deque[int] = deque()
        while self._unsent:
            number = self._unsent.popleft()
            waiting = self._waiting.get(number)
            if waiting is None:
                continue
            if len(waiting.told) > _QUESTION_BYTES:
                left.append(number)  # this process makes it
                continue
            try:
                self._ends.put.send(waiting.told)
            except OSError:
                left.append(number)
                break
        self._unsent.extendleft(reversed(left))

    def _look(self) -> None:
        """Begins what waits as long as there is a turn for it; called when that changes."""
        if self._loop is None:
            return
        while self._is_free and self._begin_next():
            pass
        if self._is_free:
            self._loop.add_reader(self._ends.take, self._look)
        else:
            self._loop.remove_reader(self._ends.take)

    def _begin_next(self) -> bool:
        """Begins what waits longest, and returns whether anything did."""
        while True:
            try:
                told = self._ends.take.recv(_PACKET_BYTES)
            except BlockingIOError:
                break
            self._put()
            owner, number, asked = pickle.loads(told)  # noqa: S301 - see above
            if owner != self._ends.own:
                self._begin(self._lend(owner, number, asked), copy_context())
                return True
            if self._take_back(number):
                return True
        while self._unsent:
            if self._take_back(self._unsent.popleft()):
                return True
        return False

    def _take_back(self, number: int) -> bool:
        """Makes a page of one's own after all; returns False where nobody waits for it any more."""
        waiting = self._waiting.get(number)
        if waiting is None or waiting.found.done():
            return False
        self._begin(self._make(waiting), waiting.context)
        return True

    def _begin(self, work: Coroutine[Any, Any, None], context: Context) -> None:
        self._starting += 1
        task = asyncio.get_running_loop().create_task(work, context=context)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

    async def _make(self, waiting: _Waiting) -> None:
        self._starting -= 1
        try:
            page = await waiting.here()
        except Exception as err:  # noqa: BLE001 - it is raised where it is waited for
            if not waiting.found.done():
                waiting.found.set_exception(err)
        else:
            if not waiting.found.done():
                waiting.found.set_result(page)

    async def _lend(self, owner: int, number: int, asked: Asked) -> None:
        made: tuple[Any, ...] | None = None
        # Its turn is taken before anything else of the loop runs.
        self._starting -= 1
        try:
            page = await self._show(asked)
            made = page.status_code, page.raw_headers, bytes(page.body)
        except Exception as err:  # noqa: BLE001 - whoever asked makes it once more, and is told why not
            log.debug("page.not_lent", error=repr(err))
        told = pickle.dumps(made, protocol=5)
        loop = asyncio.get_running_loop()
        starts = range(0, len(told), _PART_BYTES)
        # Of a process that is gone nobody waits for an answer.
        async with self._telling[owner]:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                for start in starts:
                    head = _HEAD.pack(number, start == starts[-1])
                    part = head + told[start : start + _PART_BYTES]
                    await loop.sock_sendall(self._ends.tell[owner], part)

    def _hear(self) -> None:
        try:
            told = self._ends.answers.recv(_PACKET_BYTES)
        except BlockingIOError:
            return
        number, is_last = _HEAD.unpack_from(told)
        whole = self._parts.pop(number, b"") + told[_HEAD.size :]
        if not is_last:
            self._parts[number] = whole
            return
        made = pickle.loads(whole)  # noqa: S301 - see above
        if made is None:
            self._take_back(number)
        elif (waiting := self._waiting.get(number)) is not None and not waiting.found.done():
            status, headers, body = made
            page = Response(body, status)
            page.raw_headers = headers
            waiting.found.set_result(page)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """Who waits for a page. context: of the request, for whoever logs about it. told: as it is put."""

    found: asyncio.Future[Response]
    here: Page
    context: Context
    told: bytes


def _nothing() -> None:
    pass
