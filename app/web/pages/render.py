"""Views to HTML: the Jinja environment and one function a page.

Decides only how things are said: which sentences the verdict card holds, what a step's line reads.
What is true was decided before the view was made. Every value is escaped by the environment; only the
drawings of `seal` are markup. No page needs a script to be read, and none carries a script or style of
its own text: what checks the evidence in the browser is modules from static/verify/.
"""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, get_args

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.i18n import format_date, format_moment, has, region_name, text
from app.kit.clock import format_time
from app.web.pages.seal import draw_mark, draw_seal
from app.web.pages.views import (
    ErrorView,
    Frame,
    HomeView,
    Log,
    ResultView,
    Scans,
    ScanView,
    Source,
    Step,
    UnknownView,
    VerifyView,
)

STATIC: Final = Path(__file__).parents[3] / "static"
LOCALES: Final = Path(__file__).parents[2] / "locales"
_TEMPLATES: Final = Path(__file__).parents[1] / "templates"

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
# The most urgent first; `recalled` has its banner and `provisional_gap` its sentence on the card.
_WARNINGS: Final = ("expired", "clone_suspected", "under_measure", "sold_before", "provisional_gap")
_NOTICES: Final = ("recall", "measure", "notice")
_SECONDS_A_DAY: Final = 86_400


def render_scan(view: ScanView) -> str:
    """Returns the page that a scan opens, for a unit, a lot or a product; also after a refused form."""
    has_recall = any(notice.kind == "recall" for notice in view.notices)
    return _render(
        "scan.html",
        view.frame,
        view=view,
        # A unit's page is private to whoever holds the label: no search engine should list it.
        indexable=view.level == "product",
        notices=sorted(view.notices, key=lambda notice: _NOTICES.index(notice.kind)),
        bare_recall="recalled" in view.warnings and not has_recall,
        warnings=[kind for kind in _WARNINGS if kind in view.warnings and not _said(kind, view)],
        verdict_sentences=_verdict_sentences(view),
        sold_title=_sold_title(view),
        # Where something is wrong, the way to say so comes forward.
        careful=view.verdict.kind == "broken" or has_recall or "clone_suspected" in view.warnings,
    )


def render_home(view: HomeView) -> str:
    """Returns the front page."""
    return _render("home.html", view.frame, view=view, indexable=True, six_steps=_SIX_STEPS)


def render_unknown(view: UnknownView) -> str:
    """Returns the page for a code that is not on record, or is no code at all."""
    return _render("unknown.html", view.frame, view=view)


def render_result(view: ResultView) -> str:
    """Returns the thanks after a form."""
    return _render("result.html", view.frame, view=view)


def render_verify(view: VerifyView) -> str:
    """Returns the page that checks a bundle in the browser."""
    return _render("verify.html", view.frame, view=view, indexable=True)


def render_error(view: ErrorView) -> str:
    """Returns the page for a failure that is not about the code."""
    return _render("error.html", view.frame, view=view)


def _render(template: str, frame: Frame, **values: Any) -> str:
    lang = frame.lang
    say = partial(text, lang)
    page = {
        "frame": frame,
        "indexable": False,
        "t": say,
        "moment": partial(format_moment, lang),
        "day": partial(format_date, lang),
        "region": partial(region_name, lang),
        "label": partial(_label, frame),
        "link": partial(_link, frame),
        "seal": lambda verdict: draw_seal(verdict, lang),
        "step_title": partial(_step_title, frame),
        "step_details": partial(_step_details, frame),
        "owed": partial(_owed, frame),
        "fault_of": partial(_fault_of, frame),
        "scan_sentences": partial(_scan_sentences, frame),
        "log_sentences": partial(_log_sentences, frame),
        "dotted": partial(_dotted, frame),
    }
    return _environment().get_template(template).render(page | values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters["iso"] = format_time
    environment.filters["is_web"] = _is_web
    environment.filters["late_days"] = _late_days
    environment.globals.update(
        mark=draw_mark,
        css_version=_version(STATIC / "suxin.css"),
        modules=MODULES_PATH,
        words_version=_version(*sorted(LOCALES.glob("*/*.json"))),
        complaint_categories=COMPLAINT_CATEGORIES,
        sources=get_args(Source),
    )
    return environment


def _version(*files: Path) -> str:
    """Returns a name for the content of files, so that it may be cached for ever."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _said(warning: str, view: ScanView) -> bool:
    """Returns whether the page says this elsewhere already, and better."""
    if warning == "provisional_gap":
        return bool(view.with_status("due"))
    return warning == "under_measure" and any(n.kind == "measure" for n in view.notices)


def _verdict_sentences(view: ScanView) -> list[str]:
    say = partial(text, view.frame.lang)
    verdict = view.verdict
    sentences = []
    match verdict.kind:
        case "intact":
            sentences.append(say("page.verdict.intact.why", count=verdict.record_count))
            if verdict.pending:
                sentences.append(say("page.verdict.pending", count=verdict.pending))
            if due := view.with_status("due"):
                sentences.append(say("page.verdict.due", steps=_names(view.frame, due)))
        case "incomplete":
            missing = view.with_status("missing")
            if missing:
                sentences.append(say("page.verdict.missing", steps=_names(view.frame, missing)))
            sentences.append(say("page.verdict.rest_sound", count=verdict.record_count))
        case "broken":
            if verdict.by_log:
                sentences.append(say("page.verdict.broken.log"))
                return sentences
            if broken := view.with_status("broken"):
                sentences.append(say("page.verdict.broken.at", steps=_names(view.frame, broken)))
            else:
                sentences.append(say("page.verdict.broken.unknown"))
            if verdict.attributed_to:
                party = say(f"page.obliged.{verdict.attributed_to}")
                sentences.append(say("page.verdict.attributed", party=party))
            else:
                sentences.append(say("page.verdict.unattributed"))
        case "unknown":
            sentences.append(say("page.unknown.means"))
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


def _scan_sentences(frame: Frame, scans: Scans) -> str:
    say = partial(text, frame.lang)
    if scans.count <= 1:
        return say("page.scans.first")
    sentences = [say("page.scans.nth", n=scans.count)]
    if scans.first_at:
        sentences.append(say("page.scans.first_at", at=format_moment(frame.lang, scans.first_at)))
    if scans.devices:
        sentences.append(say("page.scans.devices", count=scans.devices))
    return _paragraph(frame, sentences)


def _log_sentences(frame: Frame, log: Log) -> str:
    say = partial(text, frame.lang)
    sentences = [say("page.log.line", origin=log.origin, count=log.size)]
    if log.published_at:
        sentences.append(say("page.log.signed", at=format_moment(frame.lang, log.published_at)))
    else:
        sentences.append(say("page.log.unsigned"))
    if log.pending:
        sentences.append(say("page.log.pending", count=log.pending))
    return _paragraph(frame, sentences)


def _dotted(frame: Frame, *parts: str) -> str:
    # A Chinese font gives the dot a full square of its own.
    return ("·" if frame.lang == "zh" else " · ").join(part for part in parts if part)


def _paragraph(frame: Frame, sentences: list[str]) -> str:
    # Chinese stops carry their own space.
    return ("" if frame.lang == "zh" else " ").join(sentences)


def _names(frame: Frame, steps: tuple[Step, ...]) -> str:
    say = partial(text, frame.lang)
    titles = dict.fromkeys(_step_title(frame, step) for step in steps)
    return say("page.list.join").join(say("page.list.quote", item=title) for title in titles)


def _step_title(frame: Frame, step: Step) -> str:
    if step.type == "listing" and step.kind == "ended":
        return text(frame.lang, "page.step.listing.ended")
    for key in (f"page.step.{step.type}.{step.on}", f"page.step.{step.type}"):
        if has(key):
            return text(frame.lang, key)
    return step.type


def _step_details(frame: Frame, step: Step) -> list[str]:
    """Returns what a step says besides its name and time, in reading order."""
    say = partial(text, frame.lang)
    places = [region_name(frame.lang, code, short=True) for code in step.regions]
    places = [place for place in places if place]
    route = ""
    if len(places) > 1:
        route = say("page.detail.route", origin=places[0], destination=places[-1])
    elif places:
        route = say("page.detail.region", place=places[0]) if step.type == "sale" else places[0]
    said = [
        say("page.detail.rating", rating=step.rating) if step.rating is not None else "",
        _label(frame, "complaint", step.category),
        _label(frame, step.type, step.kind) if step.kind != "ended" else "",
        step.by,
        step.platform,
        step.carrier,
        route,
        say("page.detail.result", result=step.result) if step.result else "",
        say("page.detail.port", port=step.port) if step.port else "",
        say("page.detail.reason", reason=step.reason) if step.reason else "",
        say("page.detail.status", status=step.transit) if step.transit else "",
        _label(frame, "detail.proof", step.proof),
    ]
    return list(dict.fromkeys(part for part in said if part))


def _owed(frame: Frame, step: Step) -> str:
    key = f"page.step_{step.status}"
    if step.due_at is None or step.obliged is None:
        return text(frame.lang, f"{key}.undated")
    party = text(frame.lang, f"page.obliged.{step.obliged}")
    return text(frame.lang, key, party=party, day=format_date(frame.lang, step.due_at))


def _fault_of(frame: Frame, step: Step) -> str:
    key = f"page.fault.{step.fault}"
    return text(frame.lang, key if has(key) else "page.fault.other")


def _late_days(step: Step) -> int:
    """Returns by how many whole days a record came after what it tells; 0 within a day."""
    if step.occurred_at is None or step.recorded_at is None:
        return 0
    return max(0, int((step.recorded_at - step.occurred_at).total_seconds()) // _SECONDS_A_DAY)


def _label(frame: Frame, family: str, kind: str) -> str:
    """Returns our word for a kind, or the kind itself where the policy knows more than the locale."""
    # A kind that other rooms speak of too has its word with them.
    for key in (f"page.{family}.{kind}", f"{family}.{kind}"):
        if kind and has(key):
            return text(frame.lang, key)
    return kind


def _link(frame: Frame, path: str) -> str:
    return f"{path}?lang={frame.lang}" if frame.language_chosen else path


def _is_web(url: str) -> bool:
    """Returns whether a party's URL may become a link: never `javascript:` or the like."""
    return url.startswith(("https://", "http://"))


# Modules name each other by relative paths, so their version stands in the folder's name.
MODULES_PATH: Final = f"/static/verify-{_version(*sorted((STATIC / 'verify').glob('*.js')))}"
