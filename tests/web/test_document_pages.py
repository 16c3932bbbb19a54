"""Documents by form: several at once, which one is wrong, and who finds which link."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from app.kit.clock import parse_time
from tests.credit.files import HTML, JPEG, PNG, pdf
from tests.web.authority import HERE
from tests.web.conftest import AUTHORITY
from tests.web.people import open_people_market, signed_in
from tests.web.test_own_credit_pages import hidden, seen
from tests.web.test_undecided_api import enter

OWN, DECIDE = "/desk/credit", "/desk/decisions"


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("documents")) as running:
        yield running


def digest_of(raw: bytes) -> str:
    return sha256(raw).hexdigest()


def links(page: str) -> dict[str, str]:
    """Returns the documents that a page leads to: address -> name."""
    return dict(re.findall(r'href="(/desk/documents/[0-9a-f]{64})[^"]*">([^<]*)</a>', page))


def send(browser, page: str, status: int = 303, *, files: dict, **fields):
    """Sends a form with several files; an input that was left empty comes with no name, as browsers do."""
    browser.get(page)
    empty = dict.fromkeys(("file", "file2", "file3"), ("", b""))
    data = {"csrf": re.search(r'name="csrf" value="([0-9a-f]+)"', browser.page)[1],
            "id": hidden(browser.page), **fields}  # fmt: skip
    headers = {"Origin": browser.market.url, "Sec-Fetch-Site": "same-origin"}
    answer = browser.http.post(page, data=data, files=empty | files, headers=headers)
    assert answer.status_code == status, answer.text[:2000]
    browser.page = answer.text
    return answer


def test_several_documents_go_with_an_objection_and_both_sides_find_them(market):
    shop = market.newcomer()
    entry = enter(market, shop)
    owner, office = signed_in(market, "owner", shop), signed_in(market, "owner", AUTHORITY)
    page = f"{OWN}/entries/{entry['id']}"
    raw = pdf("three at once")
    files = {"file": ("揽收 <b>凭证</b>.pdf", raw), "file3": ("photo.JPEG", JPEG)}
    send(owner, page, do="object", text="已按期发货", files=files)
    (step,) = seen(market, entry["id"], shop)["steps"]
    assert step["attachments"] == [digest_of(raw), digest_of(JPEG)]

    case = f"{DECIDE}/entries/{shop}/{entry['id']}"
    for browser, path in ((owner, page), (office, case)):
        found = links(browser.get(path).text)
        assert found[f"/desk/documents/{digest_of(JPEG)}"] == "photo.jpeg"
        assert digest_of(raw) in browser.page
        assert "<b>凭证" not in browser.page
        assert "PDF · 1 KB" in browser.page
        answer = browser.get(f"/desk/documents/{digest_of(raw)}")
        assert answer.content == raw
        assert answer.headers["Content-Type"] == "application/pdf"
        assert answer.headers["Content-Disposition"].startswith("attachment;")
    stranger = signed_in(market, "owner", market.newcomer())
    far = signed_in(market, "owner", AUTHORITY, region="440300")
    assert HERE != "440300"
    for browser in (stranger, far):
        browser.get(f"/desk/documents/{digest_of(raw)}", 404)
    assert owner.http.get(f"/credit/{shop}").text.count(digest_of(raw)) == 0


@pytest.mark.parametrize(
    ("files", "at", "said"),
    [
        ({"file": ("a.pdf", pdf("good")), "file2": ("page.pdf", HTML)}, "file2", "“page.pdf”"),
        ({"file": ("empty.png", b"")}, "file", "“empty.png” is empty"),
        ({"file2": ("half.png", PNG[:40])}, "file2", "“half.png” is no whole PNG"),
        ({"file3": ("big.png", PNG + bytes(6 * 2**20))}, "file3", "“big.png” has 6.0 MB"),
        (
            {name: (f"{name}.png", PNG + bytes(4 * 2**20)) for name in ("file", "file2")}
            | {"file3": ("x.exe", b"MZ")},
            "file3",
            "“x.exe”",
        ),
    ],
)
def test_a_refused_form_names_the_file_and_keeps_the_words(market, files, at, said):
    shop = market.newcomer()
    entry = enter(market, shop)
    owner = signed_in(market, "owner", shop)
    page = f"{OWN}/entries/{entry['id']}"
    before = market.count_rows()
    send(owner, page, 422, do="object", text="情况说明在此", number="WB-9", files=files)
    assert f'id="f-{at}-error"' in owner.page
    assert said in owner.page.replace("&#34;", '"')
    assert "choose them again" in owner.page
    assert ">情况说明在此</textarea>" in owner.page
    assert 'value="WB-9"' in owner.page
    assert market.count_rows() == before
    assert seen(market, entry["id"], shop)["steps"] == []


@pytest.mark.parametrize(
    ("do", "text", "at", "other"),
    [
        ("object", "text", "file2", "repair_file2"),
        ("repair", "repair_text", "repair_file2", "file2"),
    ],
)
def test_of_two_forms_on_a_page_only_the_one_that_was_sent_tells_what_was_wrong(
    market, do, text, at, other
):
    shop = market.newcomer()
    entry = enter(market, shop, "complaint_reply_slow")
    market.clock.set(parse_time(entry["earliest_repair_at"]))
    owner = signed_in(market, "owner", shop)
    page = f"{OWN}/entries/{entry['id']}"
    files = {"file2": ("page.pdf", HTML)}
    send(owner, page, 422, do=do, **{text: "情况说明在此"}, files=files)
    ids = re.findall(r'\bid="([^"]+)"', owner.page)
    assert len(set(ids)) == len(ids)
    assert {f"f-{at}", f"f-{other}", f"f-{at}-error"} <= set(ids)
    assert f"f-{other}-error" not in ids
    assert owner.page.count("choose them again") == owner.page.count('aria-invalid="true"') == 1
    # What was sent counts once; the other form is a new one.
    forms = [form for form in owner.page.split("<form")[1:] if 'name="id"' in form]
    begun = {f'name="do" value="{do}"' in form: hidden(form) for form in forms}
    assert begun[True] != begun[False]


def test_without_files_a_refused_form_says_nothing_of_them(market):
    shop = market.newcomer()
    owner = signed_in(market, "owner", shop)
    send(owner, f"{OWN}/entries/{enter(market, shop)['id']}", 422, do="object", text="", files={})
    assert "choose them again" not in owner.page


def test_more_than_a_form_takes_has_a_page_that_says_so(market):
    shop = market.newcomer()
    owner = signed_in(market, "owner", shop)
    page = f"{OWN}/entries/{enter(market, shop)['id']}"
    send(
        owner, page, 413, do="object", text="x", files={"file": ("a.png", PNG + bytes(17 * 2**20))}
    )
    assert "choose smaller files" in owner.page


def test_a_listing_and_its_decision_take_documents(market):
    shop = market.newcomer()
    body = {"party": shop, "criterion": "decision_evaded",
            "evidence": {"title": "决定书", "number": "粤-2"}}  # fmt: skip
    key = market.keys[AUTHORITY]
    listed = market.ask("POST", "/api/v1/lists/black", body, token=key, status=201)
    owner, office = signed_in(market, "owner", shop), signed_in(market, "owner", AUTHORITY)
    page, case = f"{OWN}/lists/{listed['id']}", f"{DECIDE}/lists/{shop}/{listed['id']}"
    paid, letter = pdf("paid"), pdf("letter of decision")
    send(owner, page, do="object", text="已履行", files={"file": ("缴款.pdf", paid)})
    assert links(office.get(case).text) == {f"/desk/documents/{digest_of(paid)}": "缴款.pdf"}
    send(office, case, do="upheld", reason="查明", files={"file2": ("决定.pdf", letter)})
    both = {f"/desk/documents/{digest_of(raw)}": name
            for raw, name in ((paid, "缴款.pdf"), (letter, "决定.pdf"))}  # fmt: skip
    for browser, path in ((owner, page), (office, case)):
        assert links(browser.get(path).text) == both
    assert owner.get(f"/desk/documents/{digest_of(letter)}").content == letter


def test_a_digest_whose_document_is_not_here_is_shown_as_named_only(market):
    shop = market.newcomer()
    entry = enter(market, shop)
    said = {"text": "x", "attachments": ["cd" * 32]}
    path = f"/api/v1/credit/entries/{entry['id']}/objection"
    market.ask("POST", path, said, token=market.keys[shop], status=201)
    owner = signed_in(market, "owner", shop)
    owner.get(f"{OWN}/entries/{entry['id']}")
    assert "cd" * 32 in owner.page
    assert (
        owner.page.count("its fingerprint alone") == 2
    )  # the entry's own evidence is not here either
    assert links(owner.page) == {}
