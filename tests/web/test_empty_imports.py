"""A file with nothing in it, or with nothing but its header: said of every kind of file, at every door."""

from __future__ import annotations

import pytest

from app.imports.columns import KINDS, columns_of
from tests.imports.sheets import as_csv, as_xlsx
from tests.web.conftest import SHOP
from tests.web.people import open_people_market, signed_in

EMPTY = {"zh": "文件是空的：没有读到任何内容。请确认选对了文件。",
         "en": "The file is empty: nothing was read. Check that it is the right one."}  # fmt: skip
ONLY_HEADER = {"zh": "文件只有第 1 行的表头，没有数据。请从下一行开始填写。",
               "en": "The file has the header in row 1 and no row below it."}  # fmt: skip
BLANK = ["", " "]


def files(kind: str) -> list[tuple[str, bytes, dict[str, str]]]:
    header = [column.names["zh"][0] for column in columns_of(kind) if not column.hidden]
    return [
        ("nothing.csv", b"", EMPTY),
        ("nothing.xlsx", b"", EMPTY),
        ("mark.csv", "\ufeff".encode(), EMPTY),
        ("lines.csv", b"\r\n \r\n,,\r\n", EMPTY),
        ("lines.xlsx", as_xlsx([BLANK, BLANK]), EMPTY),
        ("header.csv", as_csv([header, BLANK, BLANK]), ONLY_HEADER),
        ("header.xlsx", as_xlsx([header, BLANK]), ONLY_HEADER),
    ]


CASES = [
    pytest.param(kind, *file, id=f"{kind} {file[0]}") for kind in KINDS for file in files(kind)
]


@pytest.fixture(scope="module")
def market(databases, tmp_path_factory):
    with open_people_market(tmp_path_factory.mktemp("empty")) as running:
        running.owner = signed_in(running)
        yield running


@pytest.mark.parametrize(("kind", "name", "raw", "said"), CASES)
def test_a_page_and_the_api_say_that_there_are_no_rows(market, kind, name, raw, said):
    path = "/events/import" if kind == "events" else f"/{kind}/import"
    for lang in ("zh", "en"):
        market.owner.get("/desk/imports")
        market.owner.post("/desk/imports", 422, file=(name, raw), kind=kind, lang=lang)
        assert said[lang] in market.owner.page
        answer = market.client.post(
            f"/api/v1{path}",
            files={"file": (name, raw)},
            headers={"Authorization": f"Bearer {market.keys[SHOP]}", "Accept-Language": lang},
        )
        assert (answer.status_code, answer.json()["detail"]) == (422, said[lang])


def test_where_no_file_was_chosen_one_is_missing(market):
    market.owner.get("/desk/imports")
    market.owner.post("/desk/imports", 422, file=("", b""), kind="products", lang="en")
    assert "This field is required." in market.owner.page
