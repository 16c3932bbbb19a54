"""What the service gives the browser's verifier: the page, its words, its modules, the other program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.i18n import LANGUAGES, keys, text_as_written
from app.web.pages.versions import MODULES_PATH, WORDS_VERSION

ROOT = Path(__file__).resolve().parents[2]
FOREVER = "public, max-age=31536000, immutable"


def test_the_page_names_one_module_by_its_version(service):
    answer = service.client.get("/verify", headers={"Accept-Language": "en"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "script-src 'self';" in answer.headers["content-security-policy"]
    (source,) = re.findall('<script type="module" src="([^"]+)"', answer.text)
    assert source == f"{MODULES_PATH}/page.js"
    module = service.client.get(source)
    assert module.headers["content-type"].startswith("text/javascript")
    assert module.headers["cache-control"] == FOREVER
    # Another version is not there: modules of two releases never meet.
    assert service.client.get("/static/verify-000000000000/page.js").status_code == 404


def test_every_module_that_a_module_names_is_there(service):
    for module in sorted((ROOT / "static" / "verify").glob("*.js")):
        named = re.findall(r'(?:from|import\() ?"\./([^"]+)"', module.read_text("utf-8"))
        for name in named:
            assert service.client.get(f"{MODULES_PATH}/{name}").status_code == 200, (module, name)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_words_are_given_by_part_and_language(service, lang):
    asked = {"lang": "zh-CN" if lang == "zh" else lang, "v": WORDS_VERSION}
    watch = service.client.get("/verify/words.json", params=asked | {"part": "watch"})
    check = service.client.get("/verify/words.json", params=asked | {"part": "check"})
    assert watch.headers["cache-control"] == check.headers["cache-control"] == FOREVER
    assert watch.json().items() <= check.json().items()
    assert {key.split(".")[0] for key in check.json()} == {"verify", "bundle"}
    assert all(key.startswith("verify.watch.") for key in watch.json())
    assert {key for key in keys(lang) if key.startswith("bundle.")} <= set(check.json())
    assert check.json() == {key: text_as_written(lang, key) for key in check.json()}
    assert len(watch.content) < 5_000


def test_words_are_kept_for_ever_only_by_their_own_version(service):
    page = service.client.get("/verify").text
    assert re.findall('data-words="([^"]+)"', page) == [WORDS_VERSION]
    for asked in ({}, {"v": ""}, {"v": "another"}):
        answer = service.client.get("/verify/words.json", params=asked)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


def test_words_of_no_part_are_refused(service):
    assert service.client.get("/verify/words.json", params={"part": "all"}).status_code == 422


def test_the_program_for_a_terminal_is_the_one_of_the_repository(service):
    answer = service.client.get("/verify/verify_bundle.py")
    assert answer.content == (ROOT / "scripts" / "verify_bundle.py").read_bytes()
    assert "attachment" in answer.headers["content-disposition"]
