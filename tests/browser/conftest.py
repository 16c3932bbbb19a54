"""A served deployment with a unit in every state that a scan may meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser import axe, looked
from tests.browser.counter import Counter
from tests.browser.npm import need
from tests.browser.phone import CHROMIUM, launched
from tests.browser.walks import AT_DESK, ON_PHONE, Screen, Walks
from tests.drills.deployment import Deployment, wait_until
from tests.drills.tampering import TAMPERINGS, tamper
from tests.drills.trade import GTIN, SHOP, Trade, event, moment
from tests.spreading import unit_of
from tests.web.conftest import patient  # noqa: F401 - a fixture

RECALLED_LOT = "R-2"
SOLD_UNITS = 40

_served: list[Deployment] = []
_launched: list[tuple[Any, ExitStack]] = []


@dataclass(frozen=True)
class Shown:
    """A served trade, and by state a code that is in it."""

    trade: Trade
    codes: dict[str, str]

    def url(self, state: str, **query: str) -> str:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return f"{self.trade.place.url}/{self.codes[state]}" + (f"?{asked}" if asked else "")


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stops what is served with the last test that shares it: these stand side by side (tests/spreading.py).

    What nobody asks any more would take its share of the machine until the end of the session.
    And no browser outlives the folder: see `chromium` in tests/conftest.py.
    """
    if nextitem is None or unit_of(nextitem.nodeid) != unit_of(item.nodeid):
        for place in _served:
            place.close()
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        while _launched:
            _launched.pop()[1].close()


@pytest.fixture(scope="module")
def chromium() -> Any:
    """One browser for the folder; each test takes devices of its own from it."""
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM} on this machine (apt-get install chromium)")
    if not _launched:
        stack = ExitStack()
        _launched.append((stack.enter_context(launched()), stack))
    return _launched[0][0]


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    place = Deployment(tmp_path_factory.mktemp("shown") / "market").init().serve(days_ago=9)
    try:
        trade = Trade(place).begin()
        # A week and a day ago, so that its dispatch is overdue by now.
        (waiting,) = trade.issue(SHOP, 1, lot="A/1")
        trade.sell(SHOP, [waiting], at=moment(days=9))
        place.wait_published()
        place.stop()
        place.serve()
        _served.append(place)
        yield Shown(trade, {"incomplete": waiting, **_bring_about(trade)})
    finally:
        place.close()


@pytest.fixture(scope="session")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Counter]:
    """Behind a proxy of ours, so that each phone may come from an address of its own."""
    folder = tmp_path_factory.mktemp("counter") / "market"
    place = Deployment(folder, SUXIN_TRUSTED_PROXIES="127.0.0.1").init().serve()
    try:
        trade = Trade(place).begin()
        _served.append(place)
        *sold, one, another = trade.complete(SHOP, SOLD_UNITS + 2)
        unsold = trade.issue(SHOP, 2)
        place.wait_settled()
        yield Counter(trade, sold, [one, another], unsold)
    finally:
        place.close()


@pytest.fixture
def still(counter: Counter) -> None:
    """The counter's log stands still: what other tests sent there has brought about all that it will."""
    counter.trade.place.wait_settled()


@pytest.fixture(autouse=True)
def looked_at(request: pytest.FixtureRequest) -> Iterator[None]:
    """Holds a test to the pages that it says it looks at; where axe is missing, that is said."""
    looked.forget()
    failed = request.session.testsfailed
    yield
    named = request.node.get_closest_marker("looks")
    if named is not None and request.session.testsfailed == failed:
        chosen = getattr(request.node, "callspec", None)
        langs = {chosen.params["lang"]} if chosen and "lang" in chosen.params else {"zh"}
        assert looked.unseen(named.args, langs) == set()
    if unseen := axe.missed():
        need(False, f"axe-core, which was to look at {len(unseen)} pages,")


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Takes a picture of a page, for somebody who will look at it: `--pictures FOLDER` says where to.

    Otherwise it takes none: drawing a long page costs as much as opening and measuring it.
    """
    folder = request.config.getoption("pictures")

    def take(page: Any, name: str, *, full_page: bool = True) -> None:
        if folder is not None:
            # Playwright draws the screen that it knows of, and check_screens tells the page alone.
            page.set_viewport_size(page.evaluate("({width: innerWidth, height: innerHeight})"))
            page.screenshot(path=Path(folder, name), full_page=full_page)

    return take


@pytest.fixture(params=[ON_PHONE, AT_DESK], ids=lambda screen: screen.name)
def screen(request: pytest.FixtureRequest) -> Screen:
    return request.param


@pytest.fixture
def walk(
    request: pytest.FixtureRequest, chromium: Any, screen: Screen, pictures: Callable[..., None]
) -> Iterator[Walks]:
    """Hands out walkers on a screen; at the end, what the test says that it sends was sent."""
    walks = Walks(chromium, screen, pictures, request.node.originalname.removeprefix("test_"))
    failed = request.session.testsfailed
    try:
        yield walks
    finally:
        walks.close()
    if request.session.testsfailed == failed:
        unsent = set(request.node.get_closest_marker("walks").args) - walks.sent
        assert unsent == set()
        assert [one for walker in walks.walkers for one in walker.unexpected()] == []


def has_map(trade: Trade) -> bool:
    with trade.place.opened() as run:
        return run("SELECT count(*) FROM heads_map WHERE seq IS NOT NULL")[0][0] > 0


def _bring_about(trade: Trade) -> dict[str, str]:
    """Returns a code for each state that comes about at once."""
    intact, broken, other = trade.complete(SHOP, 3)
    moving, again, late = trade.issue(SHOP, 3, lot="A/1")
    trade.sell(SHOP, [moving])
    trade.dispatch(SHOP, [moving])

    trade.sell(SHOP, [again], at=moment(days=3))
    trade.send(SHOP, [event(again, "return", {"reason": "no_reason_7_days"}, moment(days=2))])
    trade.sell(SHOP, [again])

    # A dispatch shows that it was sold; the record of the sale is still on its way.
    trade.dispatch(SHOP, [late])

    token = trade.keys[SHOP]
    lot = {"gtin": GTIN, "lot": RECALLED_LOT, "produced_on": "2026-10-05"}
    trade.place.call("POST", "/api/v1/lots", lot, token=token, expect=201)
    (recalled,) = trade.issue(SHOP, 1, lot=RECALLED_LOT)
    trade.sell(SHOP, [recalled])
    told = {"reason": "墨水瓶盖可能渗漏，请停止使用并联系商家", "level": 3}
    trade.send(SHOP, [event(f"01/{GTIN}/10/{RECALLED_LOT}", "recall", told, moment(minutes=5))])
    unsold, void = trade.issue(SHOP, 2)
    trade.send(SHOP, [event(void, "void", {"reason": "标签破损"}, moment())])

    said = {"code": intact, "type": "review", "data": {"rating": 5},
            "sealed": {"text": {"content": {"text": "石质细润，包装也用心。"}}}}  # fmt: skip
    proof = {"Suxin-Claim": trade.claims[intact]}
    trade.place.call("POST", "/api/v1/events", said, headers=proof, expect=201)
    trade.place.wait_published()
    tamper(trade.place.database_url, TAMPERINGS[0], (broken, other))
    wait_until(lambda: bool(trade.findings(status="open")), "the auditor finds the altered body")
    wait_until(lambda: has_map(trade), "the heads of a log that began so long ago are mapped")
    trade.place.wait_settled()
    return {
        "intact": intact,
        "broken": broken,
        "recalled": recalled.replace("/21/", f"/10/{RECALLED_LOT}/21/"),  # as labels may name it
        "unsold": unsold,
        "void": void,
        "sold_before": again,
        "moving": moving,
        "provisional": late,
        "unknown": f"01/{GTIN}/21/N0SUCHC0DE00",
        "product": f"01/{GTIN}",
        "lot": f"01/{GTIN}/10/{RECALLED_LOT}",
    }
