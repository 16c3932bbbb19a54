"""Bad input, over every operation: each its own problem type, in both languages, nothing written.

The table is in tests/web/operations_goods.py and operations_events.py; what every operation must
refuse alike is derived here from the operation's good request and the description.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import httpx
import pytest
from sqlmodel import SQLModel

from app.exchange.signing import sign_request
from app.parties.account_rules import PARTY_SCOPES
from tests.databases import commits
from tests.web.market import open_market
from tests.web.operations import PARTNER, Bad, Operation, World
from tests.web.operations_events import OPERATIONS

MALFORMED = (400, "malformed")
UNAUTHENTICATED = (401, "unauthenticated")
TOO_LARGE = (413, "too-large")
MEDIA = (415, "unsupported-media-type")
INVALID = (422, "invalid")
HAN = re.compile("[\u4e00-\u9fff]")
MARK = "@mark@"
_JSON = {"Content-Type": "application/json"}

# Bodies whose items are judged alone, beside those that have `events`.
_PUSHED = {"PushesIn": "items"}


@pytest.fixture(scope="module")
def world(market) -> World:
    made = World(market)
    for operation in OPERATIONS.values():
        if operation.scope is not None:
            others = [scope for scope in PARTY_SCOPES if scope != operation.scope]
            name = f"{operation.by} without {operation.scope}"
            if name not in market.keys:
                market.keys[name] = market.key_of(operation.by, *others)
    return made


@pytest.fixture(scope="module")
def stored(world) -> Iterator[Callable[[], str]]:
    """Returns the digest of what is stored; it is read anew only where somebody has committed since."""
    found: dict[object, str] = {}
    with commits(world.market.rooms.database.url) as commit:

        def told() -> str:
            seen = commit()  # before the reading: a commit that comes between is seen the next time
            if seen not in found:
                found.clear()
                found[seen] = digest(world)
            return found[seen]

        yield told


@pytest.fixture(scope="module")
def description(market) -> dict[str, Any]:
    return market.ask("GET", "/openapi.json")


def test_no_operation_is_missing_from_the_table(description):
    described = {
        (method.upper(), path)
        for path, methods in description["paths"].items()
        for method in methods
    }
    assert set(OPERATIONS) == described


def test_every_request_that_is_made_bad_here_is_good_before(databases, tmp_path):
    """Else a refusal would prove nothing."""
    with open_market(tmp_path) as market:
        made = World(market)
        # What takes the shop's own key away comes last, and before it what needs time to pass.
        for place in sorted(
            OPERATIONS, key=lambda place: ("/keys/{" in place[1], place[1].endswith("/repair"))
        ):
            if place[1].endswith("/repair"):
                market.clock.advance(timedelta(days=14).total_seconds())
            answer = send(made, place[0], good(made, OPERATIONS[place]), "en")
            if OPERATIONS[place].waits:
                assert answer.json()["type"] == "/problems/lifecycle-conflict", place
            else:
                assert answer.is_success, (place, answer.text[:300])


@pytest.mark.parametrize("place", OPERATIONS, ids=" ".join)
def test_bad_input_meets_its_own_problem_and_writes_nothing(world, stored, description, place):
    method, path = place
    operation = OPERATIONS[place]
    described = description["paths"][path][method.lower()]
    declared = {
        (int(status), slug)
        for status, response in described["responses"].items()
        for slug in response.get("x-problems", ())
    }
    before = stored()
    looking = {bad.name for bad in operation.bad if bad.looks}
    unlogged = digest(world, "access_log") if looking else ""
    for name, request, answer, kind in [
        *own(world, operation),
        *of_keys(world, operation),
        *of_paths(world, operation),
        *of_bodies(world, operation, described, description),
    ]:
        said = {}
        for lang in ("en", "zh"):
            answered = send(world, method, request, lang)
            said[lang] = check_problem(answered, answer, name)
        check_sentences(said, name)
        # A raw slash in a lot makes another path, where no operation is.
        assert answer in declared or name == "raw slash", f"{name}: not declared"
        if kind is not None:
            assert [e["kind"] for e in said["en"]["errors"]] == [kind], name
        for error in said["en"].get("errors", ()):
            assert error["kind"] != "type" or "expected " in error["msg"], error
        if name in looking:
            assert stored() != before, f"{name}: nobody will know of this look"
            assert digest(world, "access_log") == unlogged, (
                f"{name}: more than the look was written"
            )
            before = stored()
        assert stored() == before, f"{name}: something was written"


def check_problem(answer: httpx.Response, expected: tuple[int, str], name: str) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json", (name, answer.text[:300])
    problem = answer.json()
    got = (answer.status_code, problem["type"].removeprefix("/problems/"))
    assert got == expected, f"{name}: {answer.text[:400]}"
    assert problem["status"] == answer.status_code
    assert problem["instance"] == answer.headers["X-Request-Id"]
    if expected[0] == 401:
        assert answer.headers["WWW-Authenticate"], name
    return problem


def check_sentences(said: dict[str, dict[str, Any]], name: str) -> None:
    """Both languages have a sentence for the problem, its case and each field."""
    zh, en = said["zh"], said["en"]
    texts = [(zh["title"], en["title"]), (zh["detail"], en["detail"])]
    pairs = zip(zh.get("errors", ()), en.get("errors", ()), strict=True)
    texts += [(one["msg"], other["msg"]) for one, other in pairs]
    for chinese, english in texts:
        assert HAN.search(chinese), f"{name}: {chinese}"
        assert english, name
        assert english != chinese, f"{name}: {english}"


def digest(world: World, *aside: str) -> str:
    """Returns a hash of every row of every table but the counted looks at pages, and those aside."""
    found = sha256()
    with world.market.rooms.database.read() as connection:
        for name in sorted(SQLModel.metadata.tables):
            if name not in ("scan", *aside):
                for row in connection.exec_driver_sql(f'SELECT * FROM "{name}" ORDER BY 1, 2'):
                    found.update(repr(tuple(row)).encode())
    return found.hexdigest()


# --- requests -----------------------------------------------------------------------------------

Request = dict[str, Any]
Case = tuple[str, Request, tuple[int, str], str | None]


def good(world: World, operation: Operation) -> Request:
    request: Request = {
        "path": operation.path.format(**world.names),
        "query": operation.query.format(**world.names),
        "headers": dict(operation.headers(world)),
        "key": None if operation.by is None else world.market.keys[operation.by],
    }
    if operation.body is not None:
        request["content"] = json.dumps(operation.body(world)).encode()
        request["headers"] |= _JSON
    if operation.raw is not None:
        media, request["content"] = operation.raw(world)
        request["headers"] |= {"Content-Type": media}
    return sign(world, operation, request)


def sign(world: World, operation: Operation, request: Request) -> Request:
    """Returns the request, signed by the partner where its operation asks for it."""
    if operation.signs:
        request["headers"] |= sign_request(
            PARTNER, method="POST", url=world.market.url + request["path"],
            body=request["content"], at=world.market.clock.now(),
        )  # fmt: skip
    return request


def send(world: World, method: str, request: Request, lang: str) -> httpx.Response:
    headers = {**request["headers"], "Accept-Language": lang}
    if request["key"] is not None:
        headers.setdefault("Authorization", f"Bearer {request['key']}".encode())
    url = world.market.url + request["path"] + (f"?{request['query']}" if request["query"] else "")
    return world.market.client.request(method, url, content=request.get("content"), headers=headers)


def own(world: World, operation: Operation) -> Iterator[Case]:
    """What the table says of this operation alone."""
    for bad in operation.bad:
        yield bad.name, changed(world, operation, bad), bad.answer, bad.kind


def changed(world: World, operation: Operation, bad: Bad) -> Request:
    request = good(world, operation)
    if bad.path is not None:
        request["path"] = bad.path.format(**world.names)
    if bad.query is not None:
        request["query"] = bad.query
    if bad.body is not None:
        body = bad.body(world) if callable(bad.body) else bad.body
        request["content"] = json.dumps(body).encode()
        request = sign(world, operation, request)
    if bad.raw is not None:
        media, request["content"] = bad.raw
        request["headers"] = {"Content-Type": media}
    if bad.by is not None:
        request["key"] = None if bad.by == "nobody" else world.market.keys[bad.by]
    headers = bad.headers(world) if callable(bad.headers) else bad.headers
    request["headers"] |= headers
    return request


def of_keys(world: World, operation: Operation) -> Iterator[Case]:
    """Wrong, revoked, foreign and missing keys, and keys without the scope."""
    if not operation.path.startswith("/api/"):
        return
    base = good(world, operation)
    known = world.market.keys["revoked"].split("_")
    for name, token in (
        ("revoked key", world.market.keys["revoked"]),
        ("wrong secret", "_".join([known[0], known[1], "0" * 64])),
        ("unknown key", "sx_NOBODY_" + "0" * 64),
        ("no token at all", "hello"),
        ("non-ASCII token", "sx_\u00e9_1"),
    ):
        yield name, base | {"key": token}, UNAUTHENTICATED, None
    basic = {**base["headers"], "Authorization": "Basic YTpi"}
    yield "another scheme", base | {"headers": basic}, UNAUTHENTICATED, None
    if operation.by is not None:
        yield "no key", base | {"key": None}, UNAUTHENTICATED, None
    if operation.scope is not None:
        key = world.market.keys[f"{operation.by} without {operation.scope}"]
        yield "missing scope", base | {"key": key}, (403, "forbidden"), None


def of_paths(world: World, operation: Operation) -> Iterator[Case]:
    base = good(world, operation)
    if "{" in operation.path:
        yield "path not UTF-8", base | {"path": base["path"] + "%FF"}, MALFORMED, None
        yield "NUL in the path", base | {"path": base["path"] + "%00"}, INVALID, "control"
    yield "NUL in the query", base | {"query": "x=%00"}, INVALID, "control"


def of_bodies(
    world: World, operation: Operation, described: Any, description: Any
) -> Iterator[Case]:
    """What no operation takes as a body, and wrong shapes of its own one."""
    if operation.body is None:
        return
    base = good(world, operation)
    body = operation.body(world)
    raw = base["content"]

    def sent(content: Any, **headers: str) -> Request:
        return base | {"content": content, "headers": base["headers"] | headers}

    first = json.dumps(next(iter(body)))
    yield "not JSON", sent(raw[:-1]), MALFORMED, None
    yield "not UTF-8", sent(_with_text(body, b"\xff\xfe")), MALFORMED, None
    yield "lone surrogate", sent(_with_text(body, b"\\ud800")), MALFORMED, None
    yield "duplicate key", sent(b"{" + first.encode() + b":1," + raw[1:]), MALFORMED, None
    yield "NaN", sent(b'{"x":NaN}'), MALFORMED, None
    yield "raw control character", sent(_with_text(body, b"\x01")), MALFORMED, None
    yield "brackets without end", sent(b"[" * 100_000), MALFORMED, None
    yield "10 MB", sent(_with_text(body, b"a" * 10 * 2**20)), TOO_LARGE, None
    yield "10 MB in pieces", sent(_Pieces(10)), TOO_LARGE, None
    yield (
        "a form",
        sent(b"a=b", **{"Content-Type": "application/x-www-form-urlencoded"}),
        MEDIA,
        None,
    )
    yield "plain text", sent(raw, **{"Content-Type": "text/plain"}), MEDIA, None
    yield (
        "another charset",
        sent(raw, **{"Content-Type": "application/json; charset=gbk"}),
        MEDIA,
        None,
    )
    yield "compressed", sent(raw, **{"Content-Encoding": "gzip"}), MEDIA, None
    for name, content in (("nothing", b""), ("null", b"null"), ("list", b"[]"), ("text", b'"x"')):
        yield f"body is {name}", sent(content), INVALID, None
    if "events" not in body:  # an item of a batch fails alone
        yield "NUL in a text", sent(_with_text(body, b"\\u0000")), INVALID, "control"
        yield "too deep", sent(_with_value(body, _nested(40))), INVALID, None
    yield (
        "unknown field",
        sent(json.dumps({**body, "unknown": 1}).encode()),
        INVALID,
        "unknown_field",
    )
    name = described["requestBody"]["content"]["application/json"]["schema"]["$ref"].split("/")[-1]
    for field in description["components"]["schemas"][name].get("required", ()):
        missing = {key: value for key, value in body.items() if key != field}
        yield f"missing {field}", sent(json.dumps(missing).encode()), INVALID, "missing"
    for field, value in body.items():
        wrong = [5 if isinstance(value, str | list | dict) else "5"]
        # A list of objects is no wrong shape for a batch: each of its items fails alone.
        wrong += [] if field in ("events", _PUSHED.get(name)) else [[{}]]
        for told in wrong:
            shape = json.dumps({**body, field: told}).encode()
            yield f"{field} = {told}", sent(shape), INVALID, None


class _Pieces:
    """So many MiB whose length nobody announced; sent anew each time."""

    def __init__(self, mebibytes: int) -> None:
        self._count = mebibytes

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"x":"'
        for _ in range(self._count):
            yield b"a" * 2**20
        yield b'"}'


def _nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


def _with_text(body: dict[str, Any], text: bytes) -> bytes:
    """Returns the body as bytes with this in place of its first text."""
    return (
        json.dumps(_with_value(copy.deepcopy(body), MARK, raw=True))
        .encode()
        .replace(MARK.encode(), text)
    )


def _with_value(body: Any, value: Any, *, raw: bool = False) -> Any:
    found = _replace_first(copy.deepcopy(body), value)
    return found if raw else json.dumps(found).encode()


def _replace_first(value: Any, new: Any) -> Any:
    """Puts `new` in place of the first text inside `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, str):
            value[key] = new
            return value
        if isinstance(item, dict | list):
            _replace_first(item, new)
            return value
    return value
