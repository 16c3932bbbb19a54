from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from typing import get_args

import pytest

from app.i18n import LANGUAGES
from app.i18n import text as say
from app.web.pages import render, views
from app.web.pages.seal import draw_seal, seal_words
from app.web.pages.versions import MODULES_PATH
from app.web.pages.views import VerdictKind
from tests.web import gallery, samples

VOID = {"meta", "link", "input", "br", "hr", "img", "circle", "path", "use", "rect"}
ATTACK = "<script>alert(1)</script>\"'&"


class Page(HTMLParser):
    """The elements of a page; fails on a tag that does not close what it opened."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.forms: list[tuple[dict[str, str], list[dict[str, str]]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), (tag, names)
        found = dict(attrs)
        self.elements.append((tag, found))
        if tag == "form":
            self.forms.append((found, []))
        if tag in ("input", "textarea") and "form" in self.open:
            self.forms[-1][1].append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, (self.open, tag)
        self.open.pop()

    def handle_data(self, data):
        if "head" not in self.open:
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return samples.pages()


def read(view: views.ScanView) -> Page:
    return Page(render.render_scan(view))


# ---------------------------------------------------------------- every page


def test_every_page_is_whole_html_with_one_headline_and_unique_ids(pages):
    assert len(pages) == 2 * (len(samples.SCANS) + len(samples.OTHERS))
    for name, html in pages.items():
        page = Page(html)
        assert html.startswith("<!doctype html>"), name
        assert len(page.named("h1")) == 1, name
        assert len(page.named("title")) == 1, name
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids)), (name, sorted(ids))
        wanted = {
            one.removeprefix("#")
            for _, attrs in page.elements
            for key in ("for", "aria-labelledby", "aria-describedby", "href")
            if attrs.get(key) and (key != "href" or attrs[key].startswith("#"))
            for one in attrs[key].split()
        }
        assert wanted <= set(ids), (name, wanted - set(ids))
        for tag, attrs in page.elements:
            if tag in ("input", "textarea") and attrs.get("type") not in ("hidden", "radio"):
                assert any(label.get("for") == attrs["id"] for label in page.named("label")), name


def test_every_page_is_in_its_language_and_links_to_the_other(pages):
    for name, html in pages.items():
        page = Page(html)
        zh = name.endswith("-zh")
        assert page.named("html")[0]["lang"] == ("zh-CN" if zh else "en")
        (switch,) = [a for a in page.named("a") if "hreflang" in a]
        assert switch["href"].endswith("?lang=en" if zh else "?lang=zh")
        assert not re.search(r"page\.[a-z]", page.text), name  # a key that nobody translated
        if not zh:
            # Besides the switch, the mark's name and what people wrote, nothing is left in Chinese.
            assert not re.findall(
                r"[\u4e00-\u9fff]", page.text.replace("中文", "").replace("溯信", "")
            )


def test_a_page_with_its_stylesheet_is_small(pages):
    css = (render.STATIC / "suxin.css").stat().st_size
    for name, html in pages.items():
        assert len(html.encode()) + css < 100_000, name


def test_nothing_inline_and_nothing_from_elsewhere(pages):
    # A strict policy may then forbid both, and no third party learns who scanned what.
    for name, html in pages.items():
        page = Page(html)
        for script in page.named("script"):
            assert script["type"] == "module", (name, script)
            assert script["src"].startswith(f"{MODULES_PATH}/"), (name, script)
            assert (render.STATIC / "verify" / script["src"].rsplit("/", 1)[1]).exists()
        assert html.count("<script") == html.count("></script>") <= 1, name
        for tag, attrs in page.elements:
            assert tag not in ("style", "iframe", "img", "object"), (name, tag)
            assert not [a for a in attrs if a == "style" or a.startswith("on")], (name, tag)
            for key in ("src", "action", "data"):
                assert not attrs.get(key, "/").startswith(("http", "//")), (name, attrs)
        for link in page.named("link"):
            assert link["href"].startswith("/static/"), (name, link)
            assert (render.STATIC / link["href"].split("/static/")[1].split("?")[0]).exists()
    css = (render.STATIC / "suxin.css").read_text("utf-8")
    assert "@import" not in css
    assert "url(" not in css


def test_no_promise_about_the_goods(pages):
    for name, html in pages.items():
        assert "正品" not in html, name
        assert not re.search(r"\b(genuine|authentic|guarantee)", html, re.IGNORECASE), name


def test_no_view_has_a_place_for_what_must_stay_private():
    forbidden = re.compile(r"buyer|order|phone|address|price|recipient|waybill(?!_tail)|quantity")
    kinds = [kind for kind in vars(views).values() if is_dataclass(kind)]
    assert len(kinds) > 15
    assert not [f.name for kind in kinds for f in fields(kind) if forbidden.search(f.name)]


def test_a_whole_waybill_number_cannot_be_shown():
    with pytest.raises(ValueError, match="four"):
        views.Sold(state="sold", waybill_tail="TEST0000000001")


def poisoned(value):
    """The same view with markup in every free text."""
    if is_dataclass(value) and not isinstance(value, views.Frame):
        kept = {
            "type",
            "status",
            "hash",
            "level",
            "state",
            "form",
            "kind",
            "on",
            "source",
            "role",
            "name_",
        }
        kept |= {"obliged", "attributed_to", "grade", "text_state", "waybill_tail"}
        return replace(
            value,
            **{
                f.name: poisoned(getattr(value, f.name))
                for f in fields(value)
                if f.name not in kept
            },
        )
    if isinstance(value, tuple):
        return tuple(poisoned(item) for item in value) if not plain(value) else value
    return ATTACK if isinstance(value, str) and value and not value.startswith("/") else value


def plain(items: tuple) -> bool:
    return all(isinstance(item, str) for item in items)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_other_peoples_words_stay_words(lang):
    for sample in samples.SCANS:
        html = render.render_scan(poisoned(sample(lang)))
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
        Page(html)
    for draw, sample in samples.OTHERS:
        html = draw(poisoned(sample(lang)))
        assert "<script>" not in html
        Page(html)


def test_a_party_cannot_make_a_link_that_runs():
    view = samples.intact("zh")
    licence = views.Licence(kind="business", number="1", url="javascript:alert(1)")
    page = read(replace(view, parties=(replace(view.parties[0], licences=(licence,)),)))
    assert not [a for a in page.named("a") if a["href"].startswith("javascript")]


# ---------------------------------------------------------------- what the page says


@pytest.mark.parametrize(
    ("sample", "zh", "en"),
    [
        (samples.intact, "与登记记录一致，未发现改动", "Matches the record"),
        (samples.incomplete, "记录还不完整", "The record is not complete yet"),
        (samples.broken, "记录被改动过，请勿轻信", "The record has been altered"),
        (samples.recalled, "有异常：正在召回", "Something is wrong: under recall"),
        (samples.void, "这个码已作废，不再算数", "This code is void; it no longer counts"),
        (samples.unknown, "没有找到这个码", "There is no such code on record"),
    ],
)
def test_the_verdict_is_said_in_a_sentence_a_colour_and_a_seal(sample, zh, en):
    draw = render.render_unknown if sample is samples.unknown else render.render_scan
    for lang, sentence in (("zh", zh), ("en", en)):
        view = sample(lang)
        other = {samples.unknown: "unknown", samples.recalled: "abnormal", samples.void: "void"}
        kind = other.get(sample) or view.verdict.kind
        html = draw(view)
        assert sentence in Page(html).text
        assert f'class="verdict verdict-{kind}"' in html
        assert " ".join(seal_words(kind, lang)) in html
        assert draw_seal(kind, lang) in html


def test_no_two_seals_are_alike_in_shape():
    drawn = {
        draw_seal(kind, lang)
        for kind in (*get_args(VerdictKind), "abnormal", "void", "open", "unproven")
        for lang in LANGUAGES
    }
    assert len(drawn) == 16


def test_a_recall_stands_above_an_intact_chain():
    html = render.render_scan(samples.recalled("zh")).split("<main")[1]
    assert html.index("这一批商品正在召回") < html.index("<h1>有异常：正在召回")
    # What is wrong is not the chain, and the page says so; so does whoever checks it without us.
    assert "条记录首尾相连" in html
    assert 'data-said="与登记记录一致，未发现改动"' in html
    assert "seal-intact" not in html
    assert "可能划伤使用者" in html


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("sample", samples.SCANS)
def test_the_title_of_a_page_says_what_its_headline_says(sample, lang):
    html = render.render_scan(sample(lang))
    headline = re.search("<h1>(.*?)</h1>", html)[1]
    assert re.search("<title>(.*?)</title>", html)[1].startswith(f"{headline} · ")


def test_a_recall_is_shown_even_if_its_notice_is_missing():
    view = replace(samples.intact("zh"), warnings=("recalled",))
    assert 'class="notice notice-recall" role="alert"' in render.render_scan(view)
    assert "notice-recall" not in render.render_scan(samples.intact("zh"))


def test_a_copied_label_is_something_wrong_and_a_broken_chain_is_worse():
    copied = replace(samples.intact("zh"), warnings=("clone_suspected",))
    assert "<h1>有异常：标签可能被复制过" in render.render_scan(copied)
    for warning in ("expired", "sold_before", "seller_warned"):
        mild = replace(samples.intact("zh"), warnings=(warning,))
        assert "seal-intact" in render.render_scan(mild), warning
    broken = replace(samples.broken("zh"), warnings=("recalled", "clone_suspected"))
    assert "<h1>记录被改动过" in render.render_scan(broken)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("warning", ["customs_hold", "under_measure"])
def test_what_an_authority_holds_or_bars_leads_the_page_and_is_explained(lang, warning):
    html = render.render_scan(replace(samples.intact(lang), warnings=(warning,)))
    headline = say(lang, f"page.verdict.abnormal.{warning}")
    assert f"<h1>{headline}" in html
    assert "seal-abnormal" in html
    assert "seal-intact" not in html
    assert f'class="warning-{warning}"' in html
    assert say(lang, "page.verdict.intact.why", count=7) in html, "the chain itself is sound"
    recalled = render.render_scan(replace(samples.intact(lang), warnings=(warning, "recalled")))
    assert f"<h1>{say(lang, 'page.verdict.abnormal.recalled')}" in recalled


def test_a_warning_of_the_seller_is_a_caution_below_the_verdict():
    html = render.render_scan(replace(samples.intact("zh"), warnings=("seller_warned",)))
    assert "seal-abnormal" not in html
    assert say("zh", "page.warning.seller_warned") in Page(html).text


def test_a_void_code_is_said_before_its_sound_chain_which_is_told_in_words():
    for lang in LANGUAGES:
        html = render.render_scan(samples.void(lang)).split("<main")[1]
        first = html[: html.index('class="desk"')]
        assert "seal-intact" not in html
        assert "verdict-intact" not in html
        assert first.index("seal-void") < first.index("<h1>")
        why = say(lang, "page.verdict.intact.why", count=4)
        assert first.index(say(lang, "page.verdict.void.why")) < first.index(why)
        # Nothing is awaited of it, and there is no buyer who could complain.
        assert 'class="glance"' not in html
        assert 'class="button button-first" href="#report"' in html


def test_a_void_code_leads_a_recall_and_a_broken_chain_leads_both():
    void = samples.void("zh")
    recalled = render.render_scan(replace(void, warnings=("recalled", "clone_suspected")))
    assert "<h1>这个码已作废" in recalled
    assert "notice-recall" in recalled
    assert "warning-clone_suspected" in recalled
    broken = replace(void, verdict=replace(void.verdict, kind="broken"))
    assert "<h1>记录被改动过" in render.render_scan(broken)
    assert "这个码已经作废" in render.render_scan(broken)


def test_the_order_is_verdict_mine_actions_product_who_chain_check_limits():
    html = render.render_scan(samples.intact("zh"))
    marks = ["<h1", "mine-title", "0001", "#review", "product-title", "who-title", "chain-title",
             "check-title", "limits-title", "tel:12315"]  # fmt: skip
    places = [html.index(mark) for mark in marks]
    assert places == sorted(places)


def test_a_gap_names_the_step_who_owes_it_and_since_when():
    text = read(samples.incomplete("zh")).text
    assert "缺少“签收”，期限已过。" in text
    assert "没有收到。承运方应在 2026-11-22 前补上。" in text
    assert "已有的 6 条记录没有被改动。" in text


def test_a_gap_in_its_grace_is_said_once_and_does_not_alarm():
    text = read(samples.awaited("zh")).text
    assert "未到期限" in text
    assert "仍在宽限期内" not in text
    assert "与登记记录一致" in text


def test_a_break_points_at_the_record_and_blames_nobody_yet():
    view = samples.broken("zh")
    html = render.render_scan(view)
    assert html.count('class="step step-broken') == 1
    assert html.count("step-ok to-break") == 1
    assert html.count('class="step step-ok') == 6  # the sound ones stay as they are
    assert "是谁造成的，还没有认定" in html
    named = replace(view, verdict=replace(view.verdict, attributed_to="operator"))
    assert "已认定责任方：溯信运营方。" in render.render_scan(named)


def test_a_break_in_nothing_that_is_drawn_is_still_said():
    view = samples.intact("zh")
    html = render.render_scan(replace(view, verdict=replace(view.verdict, kind="broken")))
    assert "记录与公开日志对不上" in html


def test_a_fault_or_step_that_the_locale_does_not_know_is_shown_all_the_same():
    view = samples.broken("zh")
    steps = samples.replaced(view.steps, "dispatch", fault="new_kind", type="teleport")
    text = read(replace(view, steps=steps)).text
    assert "没有通过核对" in text
    assert "teleport" in text


@pytest.mark.parametrize(
    ("sample", "sentence"),
    [
        (samples.not_sold, "还没有售出记录"),
        (samples.returned, "售出后已退回"),
        (samples.void, "这个码已经作废"),
        (samples.resold, "这是第 2 次售出"),
        (samples.lot, "看不出哪一件卖给了您"),
        (samples.product, "看不出哪一件卖给了您"),
    ],
)
def test_whether_it_was_sold_to_me_is_answered(sample, sentence):
    assert sentence in read(sample("zh")).text


def test_the_first_look_up_is_said_to_be_the_first():
    assert "这是第一次有人查询这个码" in read(samples.awaited("zh")).text
    assert "第 2 次查询。首次是 2026-11-22 19:03。" in read(samples.intact("zh")).text


def test_every_step_says_who_said_so():
    html = render.render_scan(samples.intact("zh"))
    chain = html[html.index('class="chain"') : html.index("check-title")]
    for word in ("商家自报", "平台", "物流", "物流数据方", "系统"):
        assert f">{word}</span>" in chain
    assert chain.count('<code class="hash"') == 7


def test_hidden_erased_and_corrected_records_stay_and_say_so():
    text = read(samples.resold("zh")).text
    assert "内容已隐藏：含他人电话号码" in text
    assert "内容已应本人要求删除，链仍可核对。" in text
    assert "已被后来的记录更正。" in text


def test_a_hold_and_thin_data_are_not_shown_as_a_plain_grade():
    assert "暂扣 50 分" in read(samples.broken("zh")).text
    html = render.render_scan(samples.product("zh"))
    assert "数据不足" in html
    assert "credit-new" in html


def test_what_was_not_checked_is_said_beside_what_was():
    text = read(samples.intact("zh")).text
    assert "本页核对了 8 项，全部相符" in text
    assert "没有核对、也无法由此核对的" in text
    broken = render.render_scan(samples.broken("zh"))
    assert "本页核对了 8 项，2 项不符" in broken
    assert '<details class="check-list" open>' in broken
    view = samples.intact("zh")
    skipped = replace(view, checks=(*view.checks[:-1], views.Check(name="other", ok=None)))
    assert "本页核对了 7 项，全部相符" in render.render_scan(skipped)


def test_search_engines_are_asked_for_products_and_quote_no_single_item():
    unit, product = (
        render.render_scan(samples.intact("zh")),
        render.render_scan(samples.product("zh")),
    )
    assert '<meta name="robots" content="nosnippet">' in unit
    assert 'name="robots"' not in product


# ---------------------------------------------------------------- forms


def form_names(page: Page) -> dict[str, set[str]]:
    return {
        # Behind '#' stands the form itself, so that a refusal comes back to it.
        attrs["action"].partition("#")[0]: {found["name"] for found in inside}
        for attrs, inside in page.forms
        if attrs["method"] == "post"
    }


def test_every_form_posts_where_its_view_says_with_the_agreed_fields():
    rated = {"id", "rating", "text", "proof_kind", "proof"}
    complaint = {"id", "code", "category", "text", "contact", "proof_kind", "proof"}
    report = {"id", "code", "text", "contact"}
    intact, resold = samples.intact("zh"), samples.resold("en")
    assert form_names(read(intact)) == {
        intact.actions.review: rated,
        intact.actions.complaint: complaint,
        intact.actions.report: report,
    }
    assert form_names(read(resold)) == {
        resold.actions.follow_up: rated,
        resold.actions.complaint: complaint,
        resold.actions.report: report,
    }
    assert form_names(read(samples.not_sold("zh"))) == {"/reports": report}
    unknown = Page(render.render_unknown(samples.unknown("zh")))
    assert form_names(unknown) == {"/reports": report}
    gets = [attrs["action"] for attrs, _ in unknown.forms if attrs["method"] == "get"]
    assert gets == ["/code"]


def test_what_is_not_open_is_neither_a_form_nor_a_button():
    view = replace(samples.intact("zh"), actions=views.Actions())
    page = read(view)
    assert not page.forms
    assert not [a for a in page.named("a") if a["href"] in ("#review", "#complaint", "#report")]


def test_one_way_of_proof_needs_no_choice():
    view = samples.intact("zh")
    page = read(replace(view, actions=replace(view.actions, proofs=("claim",))))
    kinds = [i for i in page.named("input") if i.get("name") == "proof_kind"]
    assert {(i["type"], i["value"]) for i in kinds} == {("hidden", "claim")}


def test_complaints_offer_the_categories_of_the_contract():
    page = read(samples.intact("zh"))
    offered = [i["value"] for i in page.named("input") if i.get("name") == "category"]
    assert sorted(offered) == sorted(
        [
            "quality",
            "after_sales",
            "contract",
            "advertising",
            "price",
            "counterfeit",
            "food_safety",
            "privacy",
            "other",
        ]
    )


def test_a_refused_form_stands_open_with_what_was_written_but_without_the_proof():
    html = render.render_scan(samples.refused_form("zh"))
    page = Page(html)
    assert 'class="panel panel-open" id="complaint"' in html
    assert html.count("panel-open") == 1
    assert "&lt;b&gt;“碎”&lt;/b&gt; &amp; 3 &lt; 4</textarea>" in html
    chosen = {(i["name"], i["value"]) for i in page.named("input") if "checked" in i}
    assert ("category", "quality") in chosen
    assert ("proof_kind", "inner") in chosen
    assert "这个凭证不属于这一件商品。" in page.text
    (proof,) = [i for i in page.named("input") if i.get("id") == "complaint-proof"]
    assert proof["aria-invalid"] == "true"
    assert "value" not in proof


def test_a_chosen_language_is_kept_by_links_and_forms():
    view = samples.intact("en")
    chosen = replace(view, frame=replace(view.frame, language_chosen=True))
    page = read(chosen)
    assert page.named("a")[1]["href"] == "/?lang=en"
    assert all("lang" in {i["name"] for i in inside} for _, inside in page.forms)
    assert all("lang" not in {i["name"] for i in inside} for _, inside in read(view).forms)


def test_the_ticket_of_a_complaint_is_shown_with_the_way_back():
    page = Page(render.render_result(samples.result("zh")))
    assert "T7K2-9QMX-4RDA" in page.text
    assert f"/{samples.CODE}" in [a["href"] for a in page.named("a")]
    assert "12315" in page.text


# ---------------------------------------------------------------- how it looks


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_text_is_legible_in_both_schemes():
    css = (render.STATIC / "suxin.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(blocks) == 2
    light = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[0]))
    dark = light | dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", blocks[1]))
    tones = ("jade", "amber", "cinnabar", "slate")
    for scheme in (light, dark):
        for ground in ("paper", "sheet"):
            for word in ("ink", "mute", "jade", "amber", "cinnabar", "slate"):
                assert contrast(scheme[word], scheme[ground]) >= 4.5, (word, ground)
            assert contrast(scheme["edge"], scheme[ground]) >= 3, ground  # what bounds a control
        for tone in tones:
            for word in (tone, "ink", "mute" if tone != "slate" else "ink"):
                assert contrast(scheme[word], scheme[f"{tone}-ground"]) >= 4.5, (word, tone)
        assert contrast(scheme["recall-ink"], scheme["recall"]) >= 4.5


@pytest.mark.slow
@pytest.mark.browser
def test_no_page_is_wider_than_a_small_phone_and_every_target_is_big_enough(tmp_path, chromium):
    small = """() => [...document.querySelectorAll('a, button, summary, .choice span')]
        .filter(e => e.offsetParent && !e.closest('.skip'))
        .map(e => [e.outerHTML.slice(0, 80), e.getBoundingClientRect().height])
        .filter(([, height]) => height < 43.5)"""
    opened = (
        """() => document.querySelectorAll('.panel').forEach(p => p.classList.add('panel-open'))"""
    )
    paths = gallery.write_pages(tmp_path, [])
    page = chromium.new_page()
    for path in paths:
        page.goto(path.as_uri())
        page.evaluate(opened)
        for width in (360, 1440):
            page.set_viewport_size({"width": width, "height": 740})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, (path.name, wide)
            assert page.evaluate(small) == [], path.name
    page.close()
