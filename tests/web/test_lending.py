"""Pages that another process makes: here two of them on one loop, each with ends of its own."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from starlette.responses import HTMLResponse, Response

from app.kit.errors import Overloaded
from app.web.lending import Asked, Ends, Lending, open_ends, sockets_of
from app.web.turns import Turns
from app.web.visit import REQUEST_ID

SOON_S = 10


@dataclass
class One:
    """One process: its turns, what it was lent, and a page that keeps its turn until it is let go."""

    lending: Lending
    turns: Turns
    lent: list[Asked]
    was_lent: asyncio.Event
    free: threading.Event = field(default_factory=threading.Event)

    async def page(self, text: str) -> Response:
        return HTMLResponse(await self.turns.run(lambda: text))

    async def ask(self, text: str) -> Response:
        return await self.lending.run((text,), lambda: self.page(text))

    def keep_busy(self) -> asyncio.Task[Response]:
        async def page() -> Response:
            await self.turns.run(lambda: self.free.wait(SOON_S))
            return HTMLResponse("long")

        return asyncio.ensure_future(self.lending.run(("long",), page))


def copied(ends: Ends) -> Ends:
    """What a fork would have: the same sockets by other numbers."""
    tell = [one.dup() for one in ends.tell]
    return Ends(ends.own, ends.put.dup(), ends.take.dup(), ends.answers.dup(), tell)


@asynccontextmanager
async def two(make: Callable[[Asked], str] = lambda asked: f"lent {asked[0]}", *, most: int = 256):
    opened = open_ends(2)
    made = []
    for ends in map(copied, opened):
        turns, lent, was_lent = Turns(at_once=1, most=most), [], asyncio.Event()

        async def show(
            asked: Asked,
            turns: Turns = turns,
            lent: list[Asked] = lent,
            was_lent: asyncio.Event = was_lent,
        ) -> Response:
            lent.append(asked)
            was_lent.set()
            page = HTMLResponse(await turns.run(lambda: make(asked)), 203)
            page.set_cookie("seen", "yes")
            return page

        made.append((One(Lending(ends, turns, show=show), turns, lent, was_lent), ends))
    for one, _ in made:
        one.lending.start()
    try:
        yield made[0][0], made[1][0]
    finally:
        for one, ends in made:
            one.free.set()
            await one.lending.close()
            one.turns.close()
            for each in sockets_of([ends]):
                each.close()
        for each in sockets_of(opened):
            each.close()


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    return asyncio.run(asyncio.wait_for(work(), SOON_S * 3))


def test_who_is_free_makes_its_own_pages():
    async def work() -> None:
        async with two() as (here, there):
            for n in range(5):
                assert (await here.ask(f"page {n}")).body == f"page {n}".encode()
            assert there.lent == here.lent == []

    run(work)


def test_a_page_of_who_is_busy_is_made_by_who_is_not_and_comes_whole():
    long = "页" * 100_000  # several packets

    async def work() -> None:
        async with two(lambda asked: asked[0] + long) as (here, there):
            busy = here.keep_busy()
            await asyncio.sleep(0)
            pages = await asyncio.gather(*(here.ask(f"{n}") for n in range(4)))
            assert not busy.done()
            assert sorted(there.lent) == [(f"{n}",) for n in range(4)]
            for n, page in enumerate(pages):
                assert (page.status_code, page.body.decode()) == (203, f"{n}{long}")
                assert page.headers["set-cookie"].startswith("seen=yes")
                assert page.headers["content-type"] == "text/html; charset=utf-8"
                assert int(page.headers["content-length"]) == len(page.body)

    run(work)


def test_where_all_are_busy_the_first_that_is_free_makes_it_be_it_ones_own():
    async def work() -> None:
        async with two() as (here, there):
            long = [here.keep_busy(), there.keep_busy()]
            await asyncio.sleep(0)
            asked = asyncio.ensure_future(here.ask("mine"))
            await asyncio.sleep(0.05)
            assert not asked.done()
            here.free.set()
            assert (await asked).body == b"mine"
            assert there.lent == []
            there.free.set()
            await asyncio.gather(*long)

    run(work)


def test_what_another_cannot_make_is_made_here_and_fails_as_here():
    def refuse(_asked: Asked) -> str:
        raise ValueError("not here")

    async def work() -> None:
        async with two(refuse) as (here, there):
            busy = here.keep_busy()
            await asyncio.sleep(0)
            asked = asyncio.ensure_future(here.ask("mine"))

            async def broken() -> Response:
                raise Overloaded("pages_busy", retry_after_s=7)

            failing = asyncio.ensure_future(here.lending.run(("other",), broken))
            await there.was_lent.wait()
            here.free.set()
            assert (await asked).body == b"mine"
            with pytest.raises(Overloaded) as fault:
                await failing
            assert fault.value.retry_after_s == 7
            await busy

    run(work)


def test_a_page_that_nobody_waits_for_any_more_is_not_made():
    async def work() -> None:
        async with two() as (here, there):
            long = [here.keep_busy(), there.keep_busy()]
            made = []

            async def page() -> Response:
                made.append(1)
                return HTMLResponse("")

            await asyncio.sleep(0)
            asked = asyncio.ensure_future(here.lending.run(("gone",), page))
            await asyncio.sleep(0.01)
            asked.cancel()
            here.free.set()
            await long[0]
            assert (await here.ask("next")).body == b"next"
            there.free.set()
            await long[1]
            assert (made, there.lent) == ([], [])

    run(work)


def test_more_than_may_wait_are_refused_at_once():
    async def work() -> None:
        async with two(most=3) as (here, there):
            long = [here.keep_busy(), there.keep_busy()]
            await asyncio.sleep(0)
            asked = [asyncio.ensure_future(here.ask(f"{n}")) for n in range(2)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await here.ask("too many")
            here.free.set()
            there.free.set()
            assert len(await asyncio.gather(*asked, *long)) == 4

    run(work)


def test_a_page_made_here_after_all_logs_as_its_own_request():
    async def work() -> None:
        async with two() as (here, there):
            long = [here.keep_busy(), there.keep_busy()]
            await asyncio.sleep(0)

            async def page() -> Response:
                return HTMLResponse(await here.turns.run(lambda: str(REQUEST_ID.get())))

            async def request() -> Response:
                REQUEST_ID.set("the request")
                return await here.lending.run(("x",), page)

            asked = asyncio.ensure_future(request())
            await asyncio.sleep(0.01)
            here.free.set()
            assert (await asked).body == b"the request"
            there.free.set()
            await asyncio.gather(*long)

    run(work)


def test_who_ends_answers_first_what_it_was_lent():
    let_go = threading.Event()

    def slowly(asked: Asked) -> str:
        let_go.wait(SOON_S)
        return f"lent {asked[0]}"

    async def work() -> None:
        async with two(slowly) as (here, there):
            busy = here.keep_busy()
            await asyncio.sleep(0)
            asked = asyncio.ensure_future(here.ask("last"))
            await there.was_lent.wait()
            ending = asyncio.ensure_future(there.lending.close())
            await asyncio.sleep(0.05)
            assert not ending.done()
            let_go.set()
            await ending
            assert (await asked).body == b"lent last"
            # What is put from now on is the one's that is left.
            later = asyncio.ensure_future(here.ask("later"))
            await asyncio.sleep(0.05)
            assert not later.done()
            here.free.set()
            assert (await later).body == b"later"
            await busy

    run(work)


@pytest.mark.parametrize("size", [1, 3_000, 20_000], ids=["short", "long", "too long to put"])
@pytest.mark.parametrize("many", [8, 120])
def test_what_is_asked_first_is_taken_first_however_many_ask_again_at_once(many, size):
    rounds = 12
    # By who was asked. Of answers it could not be said: how fast each is made, the machine decides.
    asked: dict[int, list[str]] = {0: [], 1: []}
    taken: dict[int, dict[str, None]] = {0: {}, 1: {}}

    def note(told: str) -> None:
        taken[int(told[0])].setdefault(told)

    def watch(lending: Lending) -> None:
        lend, make = lending._lend, lending._make

        def lent(owner: int, number: int, given: Asked) -> Awaitable[None]:
            note(given[0])
            return lend(owner, number, given)

        def made(waiting: Any) -> Awaitable[None]:
            note(pickle.loads(waiting.told)[2][0])
            return make(waiting)

        lending._lend, lending._make = lent, made

    async def work() -> None:
        async with two(lambda given: given[0][:9]) as (here, there):
            watch(here.lending)
            watch(there.lending)

            def own(one: One, told: str) -> Awaitable[Response]:
                note(told)  # made without having waited
                return one.page(told[:9])

            async def client(n: int) -> None:
                # Two of three ask the same process.
                one, at = (there, 1) if n % 3 else (here, 0)
                for k in range(rounds):
                    told = f"{at} {n}.{k}".ljust(size)
                    asked[at].append(told)
                    await one.lending.run((told,), partial(own, one, told))

            await asyncio.gather(*map(client, range(many)))

    run(work)
    assert sum(map(len, asked.values())) == many * rounds
    assert {at: [*told] for at, told in taken.items()} == asked


def test_an_answer_that_is_lost_is_made_here(monkeypatch):
    monkeypatch.setattr("app.web.lending._PATIENCE_S", 0.2)

    async def work() -> None:
        async with two() as (here, there):
            busy = here.keep_busy()
            await asyncio.sleep(0)
            asked = asyncio.ensure_future(here.ask("mine"))
            there.lending._lend = lost
            await asyncio.sleep(0.3)
            here.free.set()
            assert (await asked).body == b"mine"
            await busy

    async def lost(*_asked: object) -> None:
        return None

    run(work)


def test_one_process_alone_has_nobody_to_ask():
    assert open_ends(1) == []
