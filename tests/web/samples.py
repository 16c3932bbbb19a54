"""Views of every kind of page, as the services would make them: for the tests and the gallery."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from app.i18n import LANGUAGES, Lang
from app.web.pages import render
from app.web.pages.views import (
    Actions,
    Check,
    Credit,
    CustomsDecision,
    ErrorView,
    FormState,
    Frame,
    HomeView,
    Import,
    Inspection,
    Licence,
    Links,
    Log,
    Notice,
    Party,
    Product,
    ResultView,
    Scans,
    ScanView,
    Sold,
    Step,
    UnknownView,
    Verdict,
    VerifyView,
    ZoneItem,
)

GTIN, SERIAL, LOT = "6901234567892", "8F3K2M9QZ7AB", "A1-2026"
CODE = f"01/0{GTIN}/21/{SERIAL}"
NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)
SAID = {
    "zh": {
        "product": "端砚文房礼盒",
        "shop": "端州特产店",
        "maker": "肇庆端溪砚坊有限公司",
        "platform": "示例平台",
        "carrier": "示例快递",
        "regulator": "肇庆市市场监督管理局",
        "customs": "南沙海关",
        "spec": "一砚一墨两笔",
        "origin": "广东肇庆",
        "review": "砚面细润，包装也稳妥，和店里说的一样。",
        "recall": "部分砚台边缘有锐角，可能划伤使用者",
        "level": "二级",
        "torn": "标签破损",
        "hidden": "含他人电话号码",
        "imported": "冷榨特级初榨橄榄油",
        "passed": "合格",
        "checked": "7 条记录都对得上。",
    },
    "en": {
        "product": "Duan inkstone writing set",
        "shop": "Duanzhou Local Goods",
        "maker": "Zhaoqing Duanxi Inkstone Works Co., Ltd.",
        "platform": "Example Market",
        "carrier": "Example Express",
        "regulator": "Zhaoqing Market Regulator",
        "customs": "Nansha Customs",
        "spec": "One inkstone, one ink stick, two brushes",
        "origin": "Zhaoqing, Guangdong",
        "review": "Smooth stone, well packed, just as the shop described it.",
        "recall": "Some stones have sharp edges that may cut the user",
        "level": "II",
        "torn": "label torn",
        "hidden": "contains a third person’s phone number",
        "imported": "Cold-pressed extra virgin olive oil",
        "passed": "passed",
        "checked": "All 7 records agree.",
    },
}


def a_hash(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def at(day: int, hour: int = 1, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def frame(lang: Lang, path: str = f"/{CODE}") -> Frame:
    return Frame(lang=lang, path=path)


def steps(lang: Lang) -> tuple[Step, ...]:
    said = SAID[lang]
    return (
        Step(
            type="registration", on="product", occurred_at=at(1, 3), recorded_at=at(1, 3),
            source="merchant", by=said["maker"], hash=a_hash("p"), leaf_index=3, signed=True,
        ),
        Step(
            type="listing", on="product", occurred_at=at(2, 6, 12), recorded_at=at(2, 6, 12),
            source="platform", by=said["shop"], platform=said["platform"], hash=a_hash("l"),
            leaf_index=17,
        ),
        Step(
            type="registration", occurred_at=at(12, 1, 5), recorded_at=at(12, 1, 5),
            source="system", by=said["maker"], hash=a_hash("u"), leaf_index=1204,
        ),
        Step(
            type="sale", occurred_at=at(20, 13, 14), recorded_at=at(20, 13, 14), source="platform",
            by=said["shop"], platform=said["platform"], regions=("440100",), hash=a_hash("s"),
            leaf_index=8810,
        ),
        Step(
            type="dispatch", occurred_at=at(21, 1, 40), recorded_at=at(21, 1, 41),
            source="merchant", by=said["shop"], carrier=said["carrier"],
            regions=("441202", "440100"), hash=a_hash("d"), leaf_index=8931, signed=True,
        ),
        Step(
            type="transit", occurred_at=at(21, 19, 2), recorded_at=at(21, 19, 2),
            source="aggregator", by=said["carrier"], regions=("440600",), hash=a_hash("t"),
            leaf_index=9010,
        ),
        Step(
            type="signature", occurred_at=at(22, 9, 50), recorded_at=at(22, 9, 52),
            source="carrier", by=said["carrier"], kind="in_person", hash=a_hash("g"),
            leaf_index=9377,
        ),
    )  # fmt: skip


def replaced(chain: tuple[Step, ...], wanted: str, /, **changes: object) -> tuple[Step, ...]:
    return tuple(replace(step, **changes) if step.type == wanted else step for step in chain)


def parties(lang: Lang) -> tuple[Party, ...]:
    said = SAID[lang]
    return (
        Party(
            role="producer", name=said["maker"], id="91441200MA4TE5T00Q", verified=True,
            region="441202",
            licences=(
                Licence(kind="business", number="91441200MA4TE5T00Q", url="https://www.gsxt.gov.cn/"),
            ),
            credit=Credit(score=868, score_without_holds=868, grade="A", data_enough=True,
                          url="/credit/91441200MA4TE5T00Q"),
        ),
        Party(
            role="seller", name=said["shop"], id="92441202MA4TE5T01M", verified=True,
            region="441202",
            licences=(
                Licence(kind="business", number="92441202MA4TE5T01M"),
                Licence(kind="food_business", number="JY14412020012345",
                        valid_until=date(2028, 6, 30), url="https://zwfw.gd.gov.cn/"),
            ),
            credit=Credit(score=712, score_without_holds=712, grade="B", data_enough=True),
        ),
    )  # fmt: skip


def intact(lang: Lang) -> ScanView:
    said = SAID[lang]
    names = "hash link index references signatures sealed log continuity"
    return ScanView(
        frame=frame(lang),
        level="unit",
        code=CODE,
        verdict=Verdict(kind="intact", record_count=7, checked_at=NOW),
        product=Product(
            name=said["product"], gtin=GTIN, serial=SERIAL, lot=LOT, category="consumer_goods",
            spec=said["spec"], origin=said["origin"], standard="GB/T 23703-2009",
            produced_on=date(2026, 10, 18),
        ),
        parties=parties(lang),
        steps=steps(lang),
        sold=Sold(
            state="sold", times=1, sold_at=at(20, 13, 14), shop=said["shop"],
            platform=said["platform"], region="440100", carrier=said["carrier"],
            waybill_tail="0001", signed_at=at(22, 9, 50),
        ),
        scans=Scans(count=2, first_at=at(22, 11, 3), devices=1),
        actions=Actions(
            review=f"/{CODE}?form=review", complaint=f"/{CODE}?form=complaint", report="/reports",
            proofs=("claim", "inner"),
        ),
        links=Links(
            evidence=f"/api/v1/codes/0{GTIN}/{SERIAL}/evidence",
            events=f"/api/v1/codes/0{GTIN}/{SERIAL}/events",
            verification=f"/api/v1/codes/0{GTIN}/{SERIAL}/verification",
            checkpoint="/log/checkpoint", key="/log/key",
        ),
        checks=tuple(Check(name=name, ok=True, detail=said["checked"]) for name in names.split()),
        log=Log(origin="suxin.example/log/2026", size=9412, published_at=NOW - timedelta(seconds=1)),
    )  # fmt: skip


def incomplete(lang: Lang) -> ScanView:
    gone = {"status": "missing", "occurred_at": None, "recorded_at": None, "source": None, "by": "",
            "kind": "", "hash": "", "leaf_index": None, "due_at": at(22), "obliged": "carrier"}  # fmt: skip
    view = intact(lang)
    return replace(
        view,
        verdict=replace(view.verdict, kind="incomplete", record_count=6),
        steps=replaced(view.steps, "signature", **gone),
        sold=replace(view.sold, signed_at=None),
        checks=(*view.checks[:-1], Check(name="continuity", ok=False)),
    )


def awaited(lang: Lang) -> ScanView:
    view = incomplete(lang)
    return replace(
        view,
        verdict=replace(view.verdict, kind="intact", pending=1),
        steps=replaced(view.steps, "signature", status="due", due_at=at(30)),
        warnings=("provisional_gap",),
        scans=Scans(count=1, first_at=NOW, devices=1),
    )


def broken(lang: Lang) -> ScanView:
    view = intact(lang)
    shop = view.parties[1]
    return replace(
        view,
        verdict=replace(view.verdict, kind="broken"),
        steps=replaced(view.steps, "dispatch", status="broken", fault="hash_mismatch"),
        parties=(
            view.parties[0],
            replace(shop, credit=replace(shop.credit, score=662, grade="C")),
        ),
        checks=tuple(
            replace(c, ok=False, detail="") if c.name in ("hash", "log") else c for c in view.checks
        ),
    )


def recalled(lang: Lang) -> ScanView:
    said = SAID[lang]
    view = intact(lang)
    recall = Step(
        type="recall", on="lot", occurred_at=at(23, 2), recorded_at=at(23, 2), source="merchant",
        by=said["maker"], reason=said["recall"], hash=a_hash("r"), leaf_index=9390,
    )  # fmt: skip
    return replace(
        view,
        verdict=replace(view.verdict, record_count=8),
        steps=(*view.steps, recall),
        notices=(
            Notice(kind="recall", on="lot", by=said["maker"], at=at(23, 2), reason=said["recall"],
                   level=said["level"]),
        ),
        warnings=("recalled",),
    )  # fmt: skip


def not_sold(lang: Lang) -> ScanView:
    view = intact(lang)
    return replace(
        view,
        verdict=replace(view.verdict, record_count=3),
        steps=view.steps[:3],
        sold=Sold(state="not_sold"),
        scans=Scans(count=41, first_at=at(13), devices=17),
        warnings=("clone_suspected",),
        actions=Actions(report="/reports"),
    )


def resold(lang: Lang) -> ScanView:
    """Sold, returned, sold again; reviewed twice, one text hidden, one erased."""
    said = SAID[lang]
    view = intact(lang)
    first = tuple(
        replace(step, earlier=True)
        if step.type in ("sale", "dispatch", "transit", "signature")
        else step
        for step in view.steps
    )
    back = Step(
        type="return", earlier=True, occurred_at=at(23, 1), recorded_at=at(23, 1), by=said["shop"],
        source="platform", reason="7d", hash=a_hash("b"), leaf_index=9380,
    )  # fmt: skip
    again = tuple(
        replace(step, occurred_at=step.occurred_at + timedelta(days=5),
                recorded_at=step.recorded_at + timedelta(days=8), hash=a_hash("2" + step.hash),
                leaf_index=None if step.type == "signature" else step.leaf_index + 700)
        for step in view.steps[3:]
    )  # fmt: skip
    review = Step(
        type="review", source="consumer", occurred_at=at(29), recorded_at=at(29), rating=5,
        text=said["review"], proof="platform", hash=a_hash("rv"), leaf_index=10210,
    )  # fmt: skip
    return replace(
        view,
        verdict=replace(view.verdict, record_count=15, pending=1),
        steps=(
            *first,
            back,
            *again,
            review,
            replace(review, type="reply", source="merchant", by=said["shop"], rating=None, proof="",
                    text=said["review"][:9], hash=a_hash("rp")),
            replace(review, type="follow_up", rating=4, text="", text_state="hidden",
                    hidden_reason=said["hidden"], hash=a_hash("fu")),
            replace(review, type="complaint", category="after_sales", rating=None, text="",
                    text_state="erased", proof="inner", hash=a_hash("co")),
            replace(review, type="correction", source="merchant", rating=None, text="",
                    status="corrected", hash=a_hash("cc")),
        ),
        sold=replace(view.sold, times=2, waybill_tail="77X2"),
        warnings=("sold_before",),
        actions=replace(view.actions, review="", follow_up=f"/{CODE}?form=follow_up"),
    )  # fmt: skip


def returned(lang: Lang) -> ScanView:
    view = resold(lang)
    return replace(
        view,
        verdict=replace(view.verdict, record_count=8, pending=0),
        steps=view.steps[:8],
        sold=Sold(state="returned", times=1, returned_at=at(23, 1)),
    )


def void(lang: Lang) -> ScanView:
    said = SAID[lang]
    view = not_sold(lang)
    gone = Step(
        type="void", occurred_at=at(12, 3), recorded_at=at(12, 3), source="merchant", by=said["maker"],
        reason=said["torn"], hash=a_hash("v"), leaf_index=8840,
    )  # fmt: skip
    return replace(
        view,
        verdict=replace(view.verdict, record_count=4),
        steps=(*view.steps, gone),
        sold=Sold(state="void"),
        warnings=(),
        scans=None,
    )


def lot(lang: Lang) -> ScanView:
    view = intact(lang)
    path = f"/01/0{GTIN}/10/{LOT}"
    return replace(
        view,
        frame=frame(lang, path),
        level="lot",
        code=path[1:],
        verdict=replace(view.verdict, record_count=2),
        product=replace(view.product, serial=""),
        parties=view.parties[:1],
        steps=(
            view.steps[0],
            Step(type="registration", on="lot", occurred_at=at(3), recorded_at=at(3), source="merchant",
                 by=SAID[lang]["maker"], hash=a_hash("lot"), leaf_index=20),
        ),
        sold=None,
        scans=None,
        actions=Actions(report="/reports"),
    )  # fmt: skip


def product(lang: Lang) -> ScanView:
    view = lot(lang)
    path = f"/01/0{GTIN}"
    said = SAID[lang]
    return replace(
        view,
        frame=frame(lang, path),
        level="product",
        code=path[1:],
        product=replace(view.product, lot="", produced_on=None),
        steps=steps(lang)[:2],
        parties=(
            replace(
                view.parties[0],
                role="brand_owner",
                credit=Credit(score=700, score_without_holds=700, grade="B", data_enough=False),
            ),
        ),
        notices=(
            Notice(kind="measure", on="product", by=said["regulator"], at=at(20), measure="warn"),
            Notice(kind="notice", on="product", by=said["maker"], at=at(21), reason=said["recall"]),
        ),
        warnings=("under_measure",),
    )


def cross_border(lang: Lang) -> ScanView:
    said = SAID[lang]
    view = intact(lang)
    released = Step(
        type="customs_release", on="lot", occurred_at=at(5, 8), recorded_at=at(6, 8), by=said["customs"],
        source="customs", port=said["customs"], hash=a_hash("cr"), leaf_index=640,
    )  # fmt: skip
    inspected = Step(
        type="inspection", on="lot", occurred_at=at(6, 8), recorded_at=at(6, 8), by=said["regulator"],
        source="regulator", result=said["passed"], hash=a_hash("in"), leaf_index=702,
    )  # fmt: skip
    importer = replace(
        view.parties[0], role="importer",
        licences=(Licence(kind="food_business", number="JY14401120054321", expired=True,
                          valid_until=date(2026, 9, 30)),),
        credit=Credit(score=650, score_without_holds=700, grade="C", data_enough=True),
    )  # fmt: skip
    return replace(
        view,
        verdict=replace(view.verdict, record_count=9),
        product=Product(
            name=said["imported"], gtin=GTIN, serial=SERIAL, lot=LOT, category="cross_border",
            origin="Jaén, ES", standard="GB 2716-2018", produced_on=date(2025, 11, 2),
            expires_on=date(2026, 11, 1), expired=True,
            imported=Import(mode="1210", port=said["customs"], origin="ES", certificate="TEST-0001",
                            plant="ES-OLV-0042", recall_agent=said["maker"], declared=True),
            customs=CustomsDecision(decision="release", at=at(5, 8), port=said["customs"],
                                    certificate="CIQ-0007", documents="agree"),
            inspections=(Inspection(result=said["passed"], by=said["regulator"], at=at(6, 8)),),
        ),
        parties=(importer, replace(view.parties[1], exempt=True, id="EX000001", licences=())),
        steps=(*view.steps[:2], released, inspected, *view.steps[2:]),
        warnings=("expired",),
    )  # fmt: skip


def refused_form(lang: Lang) -> ScanView:
    """A complaint that came without a category and with a wrong proof, shown again."""
    message = {
        "zh": "还差一点：请看下面标出的几处。",
        "en": "Not quite: see the places marked below.",
    }
    wrong = {"zh": "这个凭证不属于这一件商品。", "en": "This token does not belong to this item."}
    wrote = {"zh": "<b>“碎”</b> & 3 < 4", "en": "<b>chipped</b> & 3 < 4"}
    values = {"text": wrote[lang], "category": "quality", "proof_kind": "inner"}
    return replace(
        intact(lang),
        form=FormState(
            form="complaint", message=message[lang], values=values, errors={"proof": wrong[lang]}
        ),
    )


def unknown(lang: Lang) -> UnknownView:
    return UnknownView(
        frame=frame(lang), code=f"01/0{GTIN}/21/8F3K2M9QZ7AC", lookup="/code", report="/reports"
    )


def malformed(lang: Lang) -> UnknownView:
    problem = {
        "zh": "校验码不对：按前面各位应为 2，实为 3。请核对是否抄错一位。",
        "en": "The check digit should be 2, not 3. Look for one mistyped digit.",
    }
    return replace(unknown(lang), code="6901234567893", problem=problem[lang])


def result(lang: Lang) -> ResultView:
    return ResultView(frame=frame(lang), form="complaint", back=f"/{CODE}", ticket="T7K2-9QMX-4RDA")


def reviewed(lang: Lang) -> ResultView:
    return ResultView(frame=frame(lang), form="review", back=f"/{CODE}", hash=a_hash("rv"))


def failure(lang: Lang) -> ErrorView:
    return ErrorView(
        frame=frame(lang, "/"), kind="unavailable", request_id="01935c5e-7a10", retry_after_s=2
    )


def home(lang: Lang) -> HomeView:
    said = SAID[lang]
    return HomeView(
        frame=frame(lang, "/"),
        lookup="/code",
        log=Log(origin="suxin.example/log/2026", size=9412, published_at=NOW, pending=3),
        zone=(
            ZoneItem(name=said["product"], url=f"/01/0{GTIN}", seller=said["shop"], chains=214,
                     origin=said["origin"]),
            ZoneItem(name=said["imported"], url="/01/09521000000018", seller=said["maker"], chains=1),
        ),
        api_docs="/docs",
    )  # fmt: skip


def bare_home(lang: Lang) -> HomeView:
    return HomeView(frame=frame(lang, "/"), lookup="/code")


def verify(lang: Lang) -> VerifyView:
    return VerifyView(frame=frame(lang, "/verify"), script="/verify/verify_bundle.py")


SCANS = (
    intact, incomplete, awaited, broken, recalled, not_sold, resold, returned, void, lot, product,
    cross_border, refused_form,
)  # fmt: skip
OTHERS = (
    (render.render_unknown, unknown),
    (render.render_unknown, malformed),
    (render.render_result, result),
    (render.render_result, reviewed),
    (render.render_error, failure),
    (render.render_home, home),
    (render.render_home, bare_home),
    (render.render_verify, verify),
)


def pages() -> dict[str, str]:
    """Every sample page in both languages: name -> HTML."""
    made = {}
    for lang in LANGUAGES:
        for sample in SCANS:
            made[f"{sample.__name__}-{lang}"] = render.render_scan(sample(lang))
        for draw, sample in OTHERS:
            made[f"{sample.__name__}-{lang}"] = draw(sample(lang))
    return made
