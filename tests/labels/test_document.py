"""Papers of text: whole, numbered, in a font that travels with them, nothing blank and nothing orphaned."""

from __future__ import annotations

import io

import pytest

from app.kit.errors import Invalid
from app.labels.document import Facts, Paper, Row, Table, Words, write_paper
from app.labels.fonts import find_font
from tests.labels.reading import page_texts, pages, zxing_texts

ADDRESS = "https://suxin.example/audit-reports/01a215f4"


def paper(*body, **more) -> Paper:
    told = {
        "title": "核查报告", "subject": "x", "head": (Words("核查报告", "title"),), "body": body,
        "address": ADDRESS, "foot": "编号 7", "pages": "第 {page} 页，共 {pages} 页", **more,
    }  # fmt: skip
    return Paper(**told)


def printed(one: Paper):
    out = io.BytesIO()
    report = write_paper(one, out, font_path=find_font())
    return out.getvalue(), report


def test_every_page_says_its_number_and_all_words_are_there_once():
    body = [Words(f"第{n}句：存储的记录与当初写入的一致。" * 3) for n in range(120)]
    pdf, report = printed(paper(*body))
    texts = page_texts(pdf)
    assert report.pages == len(texts) > 2
    for number, text in enumerate(texts, 1):
        assert f"第 {number} 页，共 {len(texts)} 页" in text
        assert "编号 7" in text
    whole = "".join(texts).replace("\n", "")
    assert [whole.count(f"第{n}句：") for n in range(120)] == [3] * 120


def test_the_symbol_is_read_off_the_first_page_and_words_keep_clear_of_it():
    head = (Words("很长的标题" * 12, "title"), Words("很长的说明" * 40))
    pdf, _ = printed(paper(Words("正文"), head=head))
    assert zxing_texts(pages(pdf, dpi=150)[0]) == [ADDRESS]


def test_facts_stay_together_and_a_heading_stays_with_them():
    filler = [Words(f"行{n}") for n in range(30)]
    for extra in range(12):  # wherever the page happens to end
        facts = Facts(tuple((f"名{n}", f"值{n}") for n in range(8)), title="一组")
        more = [Words("补") for _ in range(extra)]
        pdf, _ = printed(paper(*filler, *more, Words("小标题", "heading"), facts))
        texts = page_texts(pdf)
        (with_first,) = [n for n, text in enumerate(texts) if "小标题" in text]
        assert all(f"值{n}" in texts[with_first] for n in range(8)), extra


def test_what_is_longer_than_a_page_goes_on_and_a_long_word_is_broken():
    value = "0123456789abcdef" * 300
    pdf, report = printed(paper(Facts((("应为", value),))))
    assert report.pages > 1
    lines = "".join(page_texts(pdf)).replace("\n", "")
    assert lines.count("0123456789abcdef") > 280  # of 300, for pages' feet stand between some


def table(count: int, **more) -> Table:
    rows = tuple(
        Row(((f"行{n}",), (f"事项{n}", "很长的说明" * 12)), (("哈希", f"{n:064x}"),))
        for n in range(count)
    )
    return Table((("序号", 20.0), ("什么", 150.0)), rows, **more)


def test_a_table_repeats_its_header_on_each_page_and_never_parts_a_row():
    pdf, report = printed(paper(Words("标题", "heading"), table(60, caption="甲链")))
    texts = page_texts(pdf)
    assert report.pages == len(texts) > 2
    for text in texts:
        assert text.count("序号") == text.count("甲链") == 1
    for n in range(60):
        (page,) = [text for text in texts if f"{n:064x}" in text]
        assert f"事项{n}\n" in page, "its first line stands on the page of its last one"
    assert "标题" in texts[0]


def test_a_table_without_rows_still_says_its_columns():
    pdf, _ = printed(paper(table(0)))
    assert "什么" in page_texts(pdf)[0]


def test_a_marked_row_has_a_bar_beside_it():
    def left_edge(row: Row) -> int:
        pdf, _ = printed(paper(Table((("序号", 170.0),), (row,))))
        (page,) = pages(pdf, dpi=72)
        strip = page.crop((47, 0, 54, page.height))  # left of the column, which begins at 20 mm
        return int(strip.getextrema()[0])

    assert left_edge(Row((("一",),), marked=True)) < 100
    assert left_edge(Row((("一",),))) > 200


def test_what_the_font_lacks_is_a_visible_sign_and_told():
    pdf, report = printed(paper(Words("甲\U0001f600乙")))
    assert report.replaced == ("\U0001f600",)
    assert "甲" in page_texts(pdf)[0]


def test_the_same_paper_gives_the_same_bytes_and_carries_its_font():
    one = paper(Words("存储的记录"), Facts((("链", "1,234"),)))
    pdf, _ = printed(one)
    assert printed(one)[0] == pdf
    assert b"/FontFile2" in pdf
    assert b"/Helvetica" not in pdf


def test_an_address_that_no_symbol_holds_is_refused():
    with pytest.raises(Invalid):
        printed(paper(address="网址"))
