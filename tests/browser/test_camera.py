"""A label before the camera, in a photo, and typed: with each decoder, and without any script."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from app.i18n import text
from app.web.pages.camera import decoder_path
from tests.browser.counter import phone
from tests.browser.filming import NEITHER, NO_DETECTOR, film, seeing, symbol
from tests.browser.measures import check_layout, check_structure
from tests.browser.npm import need
from tests.browser.screens import check_screens

pytestmark = pytest.mark.browser

every = pytest.mark.parametrize("lang", ["zh", "en"])
WECHAT = "https://u.wechat.com/EAmple0code"


def photo(said: str, *, kind: str = "JPEG", **more: Any) -> bytes:
    """A label on a parcel, seen from nearby."""
    seen, label = Image.new("L", (1200, 900), 170), symbol(said)
    seen.paste(label, (420, 260))
    file = io.BytesIO()
    seen.rotate(4, fillcolor=170).save(file, kind, **more)
    return file.getvalue()


@pytest.fixture(scope="module")
def filmed(
    counter: Any, chromium: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, str]]:
    """A browser whose camera sees the label of a unit."""
    unit = counter.shared[0]
    path = film(symbol(counter.url(unit)), path=tmp_path_factory.mktemp("film") / "label.y4m")
    with seeing(chromium, path) as browser:
        yield browser, unit


LACKING = {
    "the service": NEITHER,
    "its own decoder": NO_DETECTOR,
    "the browser": """globalThis.BarcodeDetector = class {
      static async getSupportedFormats() { return ["qr_code", "data_matrix", "ean_13"]; }
      async detect(video) {
        return video.videoWidth ? [{format: "ean_13", rawValue: "6901234567892"},
          {format: "qr_code", rawValue: SAID}] : [];
      }
    };""",
}


@pytest.mark.parametrize("reads", LACKING)
def test_what_the_camera_sees_opens_its_page(counter, filmed, reads):
    browser, unit = filmed
    if reads == "its own decoder":
        need(decoder_path(), "the camera's decoder")
    with phone(browser, script=True) as (page, noted):
        page.add_init_script(LACKING[reads].replace("SAID", f'"{counter.url(unit)}"'))
        page.goto(counter.url("scan"))
        # Chromium's fake camera is allowed already, so the page opens it by itself.
        page.locator(".verdict").wait_for()
        assert page.url == counter.url(unit)
        assert noted.complaints == []
        assert {host for host in noted.hosts if host} == {counter.trade.place.url.split("//")[1]}
        loaded = [one for one in noted.addresses if one.endswith(".wasm")]
        assert bool(loaded) == (reads == "its own decoder")


def test_no_page_but_this_one_may_use_the_camera(counter, filmed):
    browser, unit = filmed
    with phone(browser, script=True) as (page, _):
        page.goto(counter.url(unit))
        asked = "navigator.mediaDevices.getUserMedia({video: true}).then(() => '', (no) => no.name)"
        assert page.evaluate(asked) == "NotAllowedError"


@every
def test_a_photo_opens_its_page_without_script(counter, chromium, lang):
    unit = counter.shared[0]
    with phone(chromium, lang=lang) as (page, noted):
        page.goto(counter.url("scan", lang))
        assert page.locator("#camera").is_hidden()
        file = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": photo(counter.url(unit))}
        page.locator("#photo").set_input_files(file)
        page.locator(".photo button").click()
        page.locator(".verdict").wait_for()
        assert page.url == counter.url(unit, lang)
        assert noted.complaints == []


def test_a_photo_leaves_the_phone_small_and_without_its_place(counter, chromium):
    """The browser draws it anew; the service would read it as it is."""
    unit, seen = counter.shared[0], Image.new("L", (4000, 3000), 170)
    label = symbol(counter.url(unit))
    seen.paste(label.resize((label.width * 3, label.height * 3)), (1500, 900))
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x010E] = "taken at home"
    seen.save(file, "JPEG", exif=exif)
    assert b"taken at home" in file.getvalue()
    with phone(chromium, script=True) as (page, noted):
        # Playwright shows no body that holds a file: so it is looked at before it goes.
        page.add_init_script(
            """HTMLFormElement.prototype.requestSubmit = async function () {
              const bytes = new Uint8Array(await this.elements.photo.files[0].arrayBuffer());
              const told = new TextDecoder("latin1").decode(bytes).includes("taken at home");
              console.log(told ? "told" : "untold");
              this.submit();
            }"""
        )
        said: list[str] = []
        page.on("console", lambda one: said.append(one.text))
        page.goto(counter.url("scan"))
        sent = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": file.getvalue()}
        page.locator("#photo").set_input_files(sent)
        page.locator(".verdict").wait_for()
        assert said == ["untold"]
        assert page.url == counter.url(unit)
        assert noted.complaints == []


@every
@pytest.mark.parametrize(
    ("file", "said"),
    [
        (lambda: photo(WECHAT), "page.foreign.wechat"),
        (lambda: photo("https://prize.example/win?01=6901234567892"), "page.foreign.link"),
        (lambda: photo("你好"), "page.foreign.text"),
        (lambda: photo("WIFI:T:WPA;S=shop;P=secret;;"), "page.foreign.network"),
        (lambda: photo("https://qr.alipay.com/fkx0000000000"), "page.foreign.payment"),
        (lambda: b"GIF89a", "fault.photo_kind"),
        (lambda: photo("x")[:4000], "fault.photo_damaged"),
    ],
)  # fmt: skip
def test_what_leads_nowhere_is_explained(counter, chromium, lang, file, said):
    with phone(chromium, lang=lang) as (page, _):
        page.goto(counter.url("scan"))
        sent = {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": file()}
        page.locator("#photo").set_input_files(sent)
        with page.expect_navigation() as answer:
            page.locator(".photo button").click()
        assert answer.value.status == 422
        assert text(lang, said) in page.locator(".told").inner_text()
        # Where it leads is shown as far as its host; nothing of it is a link.
        assert page.locator(".told a").count() == 0
        assert "secret" not in page.content()
        check_layout(page)


@every
def test_the_camera_page_fits_every_screen_in_light_and_dark(counter, chromium, pictures, lang):
    with phone(chromium, lang=lang, script=True) as (page, noted):
        page.goto(counter.url("scan", lang))
        page.locator("#camera button").wait_for()
        check_structure(page, lang=lang, also_dark=True)
        check_screens(page, pictures, f"camera-{lang}")
        assert noted.complaints == []


def test_without_a_camera_the_page_says_what_else_there_is(counter, chromium):
    with phone(chromium, lang="en", script=True) as (page, _):
        page.goto(counter.url("scan"))
        page.locator("#camera button").click()
        told = page.locator("#camera-told")
        told.filter(has_text="photo").wait_for()
        assert told.inner_text() in (
            text("en", "page.camera.none"),
            text("en", "page.camera.denied"),
        )
        assert page.locator("#camera button").is_visible()
