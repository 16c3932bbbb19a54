"""Walks: what somebody does from the first page to the last, with a thumb on a phone, with a mouse at a desk.

A test names by `walks` the forms that it sends; what it did not send on its screen fails it, and
tests/browser/test_walks.py asks that somebody sends every form there is.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from app.i18n import text
from tests.browser.measures import check_layout
from tests.browser.phone import DESKTOP, PHONE, Noted, opened
from tests.web.form_rows import BUTTONS, FROM_ELSEWHERE, ROWS
from tests.web.people import make_account

ROUTES = {row.route for row in ROWS} | BUTTONS.keys() | FROM_ELSEWHERE
# What is named in full comes before what any name fits.
_PATTERNS = {
    route: re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(route)))
    for route in sorted(ROUTES, key=lambda route: route.count("{"))
}
# What a button's form does, and whether it stands in something folded.
_AROUND = """(button) => ({
  folded: button.closest("details:not([open])") !== null,
  do: button.name === "do" ? button.value
    : button.form?.querySelector("input[type=hidden]:is([name=do], [name=act])")?.value ?? "",
})"""
_KINDS = """(form, names) => Object.fromEntries(names.map((name) => {
  const all = [...form.querySelectorAll(`[name="${name}"]`)];
  return [name, all.length ? {
    type: all[0].type,
    folded: all[0].closest("details:not([open])") !== null,
    chosen: all.filter((one) => one.checked).map((one) => one.value),
  } : null];
}))"""
_NOT_CHOSEN = """(form, wanted) => {
  const sent = new FormData(form);
  return wanted.filter(([name, value]) => !sent.getAll(name).includes(value));
}"""
_addresses = itertools.count()
# A form of a scan's page says by its address which one it is.
_NAMED_LAST = "/{form}"


@dataclass(frozen=True)
class Screen:
    """lang: what its reader reads. touched: by a finger."""

    name: str
    lang: str
    touched: bool
    device: Mapping[str, Any]


ON_PHONE = Screen("phone", "zh", True, {
    "viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "agent": PHONE,
})  # fmt: skip
AT_DESK = Screen("desk", "en", False, {
    "viewport": {"width": 1440, "height": 900}, "agent": DESKTOP,
})  # fmt: skip


def form_of(path: str, do: str) -> str | None:
    """Returns what a form is called: its route, and the button or word that tells it from its neighbours."""
    for route, pattern in _PATTERNS.items():
        if pattern.fullmatch(path):
            told = path.rpartition("/")[2] if route.endswith(_NAMED_LAST) else do
            return f"{route} {told}".strip()
    return None


@dataclass
class Walker:
    """Somebody before a page. sent: the forms that were taken so far.

    account: who has signed in. file: what the file that came last is called.
    """

    page: Any
    noted: Noted
    market: Any
    screen: Screen
    take: Callable[[Any], None]
    sent: set[str]
    expected: list[str] = field(default_factory=list)
    account: str = ""
    file: str = ""
    _doing: str = ""

    def __post_init__(self) -> None:
        self.page.on("response", self._note)

    def _note(self, answer: Any) -> None:
        path = urlsplit(answer.url).path
        if answer.request.method == "POST" and answer.status < 400:
            found = form_of(path, self._doing)
            if found is not None:
                self.sent.add(found)

    @property
    def lang(self) -> str:
        return self.screen.lang

    @property
    def path(self) -> str:
        """The page's own address."""
        return urlsplit(self.page.url).path

    def open(self, path: str) -> Walker:
        answer = self.page.goto(self.market.url + path)
        assert answer.status == 200, f"{path}: {answer.status}"
        self._look()
        return self

    def enter(self, *given: Any, path: str = "/desk", **more: Any) -> Walker:
        """Has somebody new signed in, and opens a page. By what the form sends: it is walked once."""
        self.account, password = make_account(self.market, *given, **more)
        self.slip_in(self.account, password)
        return self.open(path)

    def slip_in(self, name: str, password: str) -> None:
        """Signs somebody in on this device without a look at the form."""
        answer = self.page.request.post(
            f"{self.market.url}/sign-in", form={"name": name, "password": password}, max_redirects=0,
            headers={"Origin": self.market.url, "Sec-Fetch-Site": "same-origin"},
        )  # fmt: skip
        assert answer.status == 303, answer.status

    def is_in(self) -> bool:
        """Whether this device is still signed in."""
        asked = self.page.request.get(f"{self.market.url}/desk", max_redirects=0)
        return asked.status == 200

    def sign_in(self, name: str, password: str, *, path: str = "/desk") -> Walker:
        self.open(f"/sign-in?next={quote(path)}")
        self.account = name
        return self.send(".narrow .button-first", name=name, password=password)

    def touch(self, what: Any) -> Walker:
        """Touches the first of what is there, or clicks it."""
        found = self.one(what)
        found.tap() if self.screen.touched else found.click()
        return self

    def follow(self, what: Any) -> Walker:
        """Goes where a link leads."""
        with self.page.expect_navigation() as answer:
            self.touch(what)
        assert answer.value is None or answer.value.status == 200, self.page.url
        self._look()
        return self

    def fill(self, form: Any, **values: Any) -> None:
        """Writes and chooses in a form; a list are several choices, a dict is a file."""
        kinds = form.evaluate(_KINDS, list(values)) if values else {}
        chosen = []
        for name, value in values.items():
            kind = kinds.get(name)
            assert kind, f"{self.page.url}: the form has no {name}"
            if kind["folded"]:
                # Outermost first: what is inside a folded one cannot be touched.
                folded = f"details:not([open]):has([name='{name}']) > summary"
                for summary in form.locator(folded).all():
                    self.touch(summary)
            control = form.locator(f"[name='{name}']").first
            if kind["type"] == "file":
                control.set_input_files(value)
            elif kind["type"] == "select-one":
                control.select_option(value)
            elif kind["type"] in ("radio", "checkbox"):
                wanted = value if isinstance(value, list) else [value]
                chosen += [(name, one) for one in wanted]
                for one in wanted:
                    if one not in kind["chosen"]:  # as it may be since the form was refused
                        this = f"[name='{name}'][value='{one}']"
                        self.touch(form.locator(f"label:has({this}), {this}"))
            else:
                control.fill(value)
        untouched = form.evaluate(_NOT_CHOSEN, chosen) if chosen else []
        assert untouched == [], f"not chosen by touching it: {untouched}"

    def send(self, button: Any, *, refused: int = 0, **values: Any) -> Walker:
        """Fills in the form of a button and sends it by that; refused: the status of who says no."""
        found = self._prepare(button, values)
        with self.page.expect_navigation() as answer:
            self.touch(found)
        self._doing = ""
        status = answer.value.status
        if refused:
            self.expected.append(f"status of {refused}")
        if status != refused if refused else status >= 300:
            said = self.page.locator(".refusal, .field-error").all_inner_texts()
            raise AssertionError(f"{self.page.url}: {status} {said}")
        self._look()
        return self

    def press(self, button: Any, **values: Any) -> Walker:
        """Fills in a form that the page's own script sends, and touches its button."""
        return self.touch(self._prepare(button, values))

    def fetch(self, button: Any, **values: Any) -> Path:
        """Sends a form, or follows a link, whose answer is a file; returns where that lies."""
        found = self._prepare(button, values)
        with self.page.expect_download() as download:
            self.touch(found)
        self._doing = ""
        # What becomes a file is given up by the browser as a page.
        self.expected.append(f"failed: {download.value.url}")
        self.file = download.value.suggested_filename
        return Path(download.value.path())

    def _prepare(self, button: Any, values: Mapping[str, Any]) -> Any:
        found = self.one(button)
        told = found.evaluate(_AROUND)
        if told["folded"]:
            for summary in found.locator("xpath=ancestor::details[not(@open)]/summary").all():
                self.touch(summary)
        self.fill(found.locator("xpath=ancestor::form[1]"), **values)
        self._doing = told["do"]
        return found

    def one(self, what: Any) -> Any:
        return (self.page.locator(what) if isinstance(what, str) else what).first

    def says(self, *words: str, where: str = "main") -> Walker:
        """The page says all of this, once it is there."""
        for word in words:
            self.page.locator(where).filter(has_text=word).first.wait_for()
        return self

    def told(self, key: str) -> Walker:
        """The page answers this to a form that was taken."""
        return self.says(text(self.lang, f"told.{key}"), where=".told")

    def wrong(self, name: str) -> Walker:
        """The page says beside a field that it is wrong, and marks it for who listens."""
        self.page.locator(f"#f-{name}-error").wait_for()
        assert self.page.locator(f"#f-{name}").get_attribute("aria-invalid") == "true"
        return self

    def read(self, where: str = "main") -> str:
        said: str = self.page.locator(where).first.inner_text()
        return said

    def _look(self) -> None:
        check_layout(self.page)
        self.take(self.page)

    def unexpected(self) -> list[str]:
        return [
            one for one in self.noted.complaints if not any(word in one for word in self.expected)
        ]


class Walks:
    """Hands out walkers of one test on one screen; what they sent is kept together."""

    def __init__(self, browser: Any, screen: Screen, pictures: Callable[..., None], name: str):
        self.screen = screen
        self.sent: set[str] = set()
        self.walkers: list[Walker] = []
        self._browser, self._pictures, self._name = browser, pictures, name
        self._numbers = itertools.count(1)
        self._stack = ExitStack()

    def __call__(self, market: Any, **more: Any) -> Walker:
        """Opens a fresh device before which somebody sits. more: of the device."""
        high, low = divmod(next(_addresses), 250)
        headers = {
            "X-Forwarded-For": f"198.19.{high}.{low + 1}"
        }  # failures of an address are counted
        device = {
            "script": True, "lang": self.screen.lang, "accept_downloads": True,
            "extra_http_headers": headers, **self.screen.device, **more,
        }  # fmt: skip
        page, noted = self._stack.enter_context(opened(self._browser, **device))
        made = Walker(page, noted, market, self.screen, self._take, self.sent)
        self.walkers.append(made)
        return made

    def _take(self, page: Any) -> None:
        self._pictures(page, f"{self._name}-{self.screen.name}-{next(self._numbers):02}.png")

    def close(self) -> None:
        self._stack.close()
