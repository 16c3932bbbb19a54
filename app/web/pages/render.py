"""Views to HTML: the Jinja environment and one function a page.

Decides only how things are said: which sentences the verdict card holds, what a step's line reads.
What is true was decided before the view was made. Every value is escaped by the environment; only the
drawings of `seal` are markup. No page needs a script to be read, and none carries a script or style of
its own text: what checks the evidence in the browser is modules from static/verify/.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import Any, Final, get_args

from markupsafe import Markup, escape

from app.i18n import Lang, format_date, format_moment, has, region_name, text
from app.kit.clock import format_time
from app.web.pages.alarm import alarm_of, headline_of, shown_of, warnings_of
from app.web.pages.documentwords import DOCUMENT_WORDS
from app.web.pages.environment import LanguageEnvironment
from app.web.pages.journey import days_between, late_days, stops_of
from app.web.pages.pieces import Pieces
from app.web.pages.seal import draw_mark, draw_seal
from app.web.pages.standing_words import (
    cure_says,
    finding_says,
    repair_says,
    rule_says,
    say_signed,
    say_span,
)
from app.web.pages.versions import MODULES_PATH, STATIC, WORDS_VERSION, file_version
from app.web.pages.views import (
    ErrorView,
    FormName,
    FormState,
    Frame,
    HomeView,
    Log,
    Proof,
    ResultView,
    Scans,
    ScanView,
    Source,
    Step,
    UnknownView,
    VerifyView,
)

COMPLAINT_CATEGORIES: Final = (
    "quality",
    "counterfeit",
    "food_safety",
    "after_sales",
    "advertising",
    "contract",
    "price",
    "privacy",
    "other",
)
_SIX_STEPS: Final = ("listing", "sale", "dispatch", "signature", "review", "complaint")
_NOTICES: Final = ("recall", "measure", "notice")
# Where a blank form takes what is the page's own: characters for private use, which no text of ours
# and no code holds.
_ACTION, _SHOWING, _CODE = "\ue000", "\ue001", "\ue002"


def render_scan(view: ScanView) -> str:
    """Returns the page that a scan opens, for a unit, a lot or a product; also after a refused form."""
    stops = stops_of(view.steps) if view.level == "unit" else ()
    has_recall = any(notice.kind == "recall" for notice in view.notices)
    return render_page(
        "scan.html",
        view.frame,
        view=view,
        panel=partial(_panel, view),
        # A unit's page is for whoever holds the label: it names its product's page as the one to be listed
        # (RFC 6596), and where an engine lists it all the same, nothing of it is quoted.
        indexable=view.level == "product",
        of_product=view.level != "product",
        notices=sorted(view.notices, key=lambda notice: _NOTICES.index(notice.kind)),
        bare_recall="recalled" in view.warnings and not has_recall,
        warnings=warnings_of(view),
        shown=shown_of(view),
        headline=headline_of(view),
        verdict_sentences=_verdict_sentences(view),
        sold_title=_sold_title(view),
        stops=stops,
        journey_days=days_between(stops),
        # Where something is wrong, the way to say so comes forward.
        careful=bool(alarm_of(view) or view.label_lot)
        or view.verdict.kind == "broken"
        or has_recall,
    )


def render_home(view: HomeView) -> str:
    """Returns the front page."""
    return render_page("home.html", view.frame, view=view, indexable=True, six_steps=_SIX_STEPS)


def render_unknown(view: UnknownView) -> str:
    """Returns the page for a code that is not on record, or is no code at all."""
    return render_page("unknown.html", view.frame, view=view)


def render_result(view: ResultView) -> str:
    """Returns the thanks after a form."""
    return render_page("result.html", view.frame, view=view)


def render_verify(view: VerifyView) -> str:
    """Returns the page that checks a bundle in the browser."""
    return render_page("verify.html", view.frame, view=view, indexable=True)


def render_error(view: ErrorView) -> str:
    """Returns the page for a failure that is not about the code."""
    return render_page("error.html", view.frame, view=view)


def render_page(template: str, frame: Frame, **values: Any) -> str:
    """Returns a template's page in the frame's language."""
    page = {
        "frame": frame,
        "indexable": False,
        "of_product": False,
        "shown_once": False,
        "link": partial(link_within, frame),
    }
    return _environment(frame.lang).get_template(template).render(page | values)


def link_within(frame: Frame, path: str) -> str:
    """Returns a way to another page, which keeps the language that the reader chose."""
    if not frame.language_chosen:
        return path
    return f"{path}{'&' if '?' in path else '?'}lang={frame.lang}"


@cache
def _environment(lang: Lang) -> LanguageEnvironment:
    environment = LanguageEnvironment(lang)
    environment.filters["iso"] = format_time
    environment.filters["is_web"] = _is_web
    environment.filters["late_days"] = late_days
    say = partial(text, lang)
    pieces = Pieces(environment)
    environment.globals.update(
        mark=draw_mark(),
        css_version=file_version(STATIC / "suxin.css"),
        standing_version=file_version(STATIC / "standing.css"),
        signed_version=file_version(STATIC / "signed.css"),
        consumer_version=file_version(STATIC / "consumer.css"),
        camera_version=file_version(STATIC / "camera.css"),
        modules=MODULES_PATH,
        words_version=WORDS_VERSION,
        complaint_categories=[(c, _label(lang, "complaint", c)) for c in COMPLAINT_CATEGORIES],
        ratings=[(str(n), say(f"page.rating.{n}")) for n in range(1, 6)],
        sources=[
            (source, say(f"page.source.{source}"), say(f"page.source.{source}.means"))
            for source in get_args(Source)
        ],
        moment=partial(format_moment, lang),
        day=partial(format_date, lang),
        region=partial(region_name, lang),
        label=partial(_label, lang),
        signed=say_signed,
        finding_says=partial(finding_says, lang),
        cure_says=partial(cure_says, lang),
        span=partial(say_span, lang),
        seal=lambda verdict: draw_seal(verdict, lang),
        step_title=partial(_step_title, lang),
        step_details=partial(_step_details, lang),
        owed=partial(_owed, lang),
        fault_of=partial(_fault_of, lang),
        scan_sentences=partial(_scan_sentences, lang),
        log_sentences=partial(_log_sentences, lang),
        dotted=partial(_dotted, lang),
        joined=partial(_paragraph, lang),
        repair_says=partial(repair_says, lang),
        rule_says=partial(rule_says, lang),
        step_item=pieces.step,
        party_card=pieces.party,
        **DOCUMENT_WORDS,
    )
    return environment


def _panel(view: ScanView, form: FormName, action: str) -> Markup:
    """Returns a form of the page; one that nobody has sent yet differs only in whose it is."""
    frame, proofs = view.frame, view.actions.proofs
    if view.form is not None:
        return _draw_panel(frame, form, action, proofs, code=view.code, state=view.form)
    blank = _blank_panel(frame.lang, form, proofs, language_chosen=frame.language_chosen)
    told = {_ACTION: action, _SHOWING: frame.showing, _CODE: view.code}
    for place, value in told.items():
        blank = blank.replace(place, escape(value))
    return blank


@cache
def _blank_panel(
    lang: Lang, form: FormName, proofs: tuple[Proof, ...], *, language_chosen: bool
) -> Markup:
    frame = Frame(lang=lang, path="", language_chosen=language_chosen, showing=_SHOWING)
    return _draw_panel(frame, form, _ACTION, proofs, code=_CODE, state=None)


def _draw_panel(
    frame: Frame,
    form: FormName,
    action: str,
    proofs: tuple[Proof, ...],
    *,
    code: str,
    state: FormState | None,
) -> Markup:
    forms: Any = _environment(frame.lang).get_template("_forms.html").module
    drawn: Markup
    match form:
        case "complaint":
            drawn = forms.complaint_form(frame, action, state, proofs, code)
        case "report":
            drawn = forms.report_form(frame, action, state, code)
        case "review" | "follow_up":
            drawn = forms.rated_form(frame, form, action, state, proofs)
    return drawn


def _verdict_sentences(view: ScanView) -> list[str]:
    say = partial(text, view.frame.lang)
    verdict = view.verdict
    sentences = [say("page.verdict.void.why")] if alarm_of(view) == "void" else []
    match verdict.kind:
        case "intact":
            if verdict.total:
                count, total = verdict.record_count, verdict.total
                sentences.append(say("page.verdict.intact.part", count=count, total=total))
            else:
                sentences.append(say("page.verdict.intact.why", count=verdict.record_count))
            if verdict.pending:
                sentences.append(say("page.verdict.pending", count=verdict.pending))
            if due := view.with_status("due"):
                sentences.append(say("page.verdict.due", steps=_names(view.frame.lang, due)))
        case "incomplete":
            if missing := view.with_status("missing"):
                sentences.append(
                    say("page.verdict.missing", steps=_names(view.frame.lang, missing))
                )
            sentences.append(say("page.verdict.rest_sound", count=verdict.record_count))
        case "broken":
            if verdict.by_log:
                sentences.append(say("page.verdict.broken.log"))
                return sentences
            if broken := view.with_status("broken"):
                sentences.append(
                    say("page.verdict.broken.at", steps=_names(view.frame.lang, broken))
                )
            else:
                sentences.append(say("page.verdict.broken.unknown"))
            if verdict.attributed_to:
                party = say(f"page.obliged.{verdict.attributed_to}")
                sentences.append(say("page.verdict.attributed", party=party))
            else:
                sentences.append(say("page.verdict.unattributed"))
        case "unknown":
            sentences.append(say("page.unknown.means"))
    if any(step.sent_at for step in view.steps):
        sentences.append(say("page.verdict.order"))
    return sentences


def _sold_title(view: ScanView) -> str:
    sold = view.sold
    if sold is None:
        return ""
    say = partial(text, view.frame.lang)
    if sold.state != "sold":
        return say(f"page.sold.title.{sold.state}")
    if sold.times > 1:
        return say("page.sold.title.again", times=sold.times)
    return say("page.sold.title" if sold.sold_at is not None else "page.sold.title.sent")


def _scan_sentences(lang: Lang, scans: Scans) -> str:
    say = partial(text, lang)
    if scans.count <= 1:
        return say("page.scans.first")
    sentences = [say("page.scans.nth", n=scans.count)]
    if scans.first_at:
        sentences.append(say("page.scans.first_at", at=format_moment(lang, scans.first_at)))
    if scans.devices:
        sentences.append(say("page.scans.devices", count=scans.devices))
    return _paragraph(lang, sentences)


def _log_sentences(lang: Lang, log: Log) -> str:
    say = partial(text, lang)
    sentences = [say("page.log.line", origin=log.origin, count=log.size)]
    if log.published_at:
        sentences.append(say("page.log.signed", at=format_moment(lang, log.published_at)))
    else:
        sentences.append(say("page.log.unsigned"))
    if log.pending:
        sentences.append(say("page.log.pending", count=log.pending))
    return _paragraph(lang, sentences)


def _dotted(lang: Lang, *parts: str) -> str:
    # A Chinese font gives the dot a full square of its own.
    return ("·" if lang == "zh" else " · ").join(part for part in parts if part)


def _paragraph(lang: Lang, sentences: list[str]) -> str:
    # Chinese stops carry their own space.
    return ("" if lang == "zh" else " ").join(one for one in sentences if one)


def _names(lang: Lang, steps: tuple[Step, ...]) -> str:
    say = partial(text, lang)
    titles = dict.fromkeys(_step_title(lang, step) for step in steps)
    return say("page.list.join").join(say("page.list.quote", item=title) for title in titles)


def _step_title(lang: Lang, step: Step) -> str:
    if step.type == "listing" and step.kind == "ended":
        return text(lang, "page.step.listing.ended")
    for key in (f"page.step.{step.type}.{step.on}", f"page.step.{step.type}"):
        if has(key):
            return text(lang, key)
    return step.type


def _step_details(lang: Lang, step: Step) -> list[str]:
    """Returns what a step says besides its name and time, in reading order."""
    say = partial(text, lang)
    places = [region_name(lang, code, short=True) for code in step.regions]
    places = [place for place in places if place]
    route = ""
    if len(places) > 1:
        route = say("page.detail.route", origin=places[0], destination=places[-1])
    elif places:
        route = say("page.detail.region", place=places[0]) if step.type == "sale" else places[0]
    said = [
        say("page.detail.corrects", step=_step_title(lang, replace(step, type=step.of)))
        if step.of
        else "",
        say("page.detail.rating", rating=step.rating) if step.rating is not None else "",
        _label(lang, "complaint", step.category),
        _label(lang, step.of or step.type, step.kind) if step.kind != "ended" else "",
        step.by,
        step.platform,
        step.carrier,
        route,
        say("page.detail.waybill", tail=step.tail) if step.tail else "",
        say("page.detail.result", result=step.result) if step.result else "",
        say("page.detail.port", port=step.port) if step.port else "",
        say("page.detail.reason", reason=step.reason) if step.reason else "",
        say("page.detail.status", status=_label(lang, "goods.news", step.transit))
        if step.transit
        else "",
        _label(lang, "detail.proof", step.proof),
    ]
    return list(dict.fromkeys(part for part in said if part))


def _owed(lang: Lang, step: Step) -> str:
    key = f"page.step_{step.status}"
    if step.due_at is None or step.obliged is None:
        return text(lang, f"{key}.undated")
    party = text(lang, f"page.obliged.{step.obliged}")
    return text(lang, key, party=party, day=format_date(lang, step.due_at))


def _fault_of(lang: Lang, step: Step) -> str:
    key = f"page.fault.{step.fault}"
    return text(lang, key if has(key) else "page.fault.other")


def _label(lang: Lang, family: str, kind: str) -> str:
    """Returns our word for a kind, or the kind itself where the policy knows more than the locale."""
    # A kind that other rooms speak of too has its word with them.
    for key in (f"page.{family}.{kind}", f"{family}.{kind}"):
        if kind and has(key):
            return text(lang, key)
    return kind


def _is_web(url: str) -> bool:
    """Returns whether a party's URL may become a link: never `javascript:` or the like."""
    return url.startswith(("https://", "http://"))
