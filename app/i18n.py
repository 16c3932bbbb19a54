"""The words people read: every sentence in both languages, and the places and times in them.

Reads app/locales/<lang>/*.json once: flat objects, key -> sentence with {param} places, one file a
room. Both languages hold the same keys, and a missing key raises at run time too: a page without a
word is a fault to find in a test, not to hide behind its key. Knows no HTTP beyond the
Accept-Language header (RFC 9110 section 12.5.4), and no HTML: whoever prints a sentence escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, Literal

from stdnum import numdb

from app.kit.canonical import parse_json
from app.kit.clock import SHANGHAI, parse_time

Lang = Literal["zh", "en"]
LANGUAGES: Final[tuple[Lang, ...]] = ("zh", "en")
DEFAULT: Final[Lang] = "zh"

_LOCALES = Path(__file__).parent / "locales"
# China keeps one time zone and has had no summer time since 1991: no zone table is needed.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The four municipalities, Taiwan, Hong Kong and Macau: what lies below is a district, finer than a
# public page may show.
_WITHOUT_CITIES = frozenset({"11", "12", "31", "50", "71", "81", "82"})
_REGION = re.compile(r"\d{6}", re.ASCII)
_END = r"-?\d+(?:\.\d+)?|\d{4}-\d\d(?:-\d\d(?:T[\d:.]+Z)?)?"
_SPAN = re.compile(rf"({_END})\.\.({_END})", re.ASCII)
_SIDE = re.compile(rf"([≥≤<>]) ({_END})", re.ASCII)
_SIDES: Final = {"≥": "least", "≤": "most", ">": "above", "<": "below"}
_WHEN = re.compile(r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_YEARS = re.compile(r"^\[\d*-\d*\]")


def text(lang: Lang, key: str, **params: object) -> str:
    """Returns the sentence of `key` with its places filled in, not escaped.

    With `count=1` the sentence `<key>.one` is taken where there is one; no finer plural is kept.
    Raises KeyError if the key, or a param that its sentence names, is missing.
    """
    sentences = _sentences(lang)
    if params.get("count") in (1, "1") and f"{key}.one" in sentences:
        key = f"{key}.one"
    return sentences[key].format_map(params)


def text_as_written(lang: Lang, key: str) -> str:
    """Returns the sentence of `key` with its places left open, for a script that fills them in."""
    return _sentences(lang)[key]


def worded(
    lang: Lang, params: Mapping[str, object], families: Mapping[str, str]
) -> dict[str, object]:
    """Returns those params that are words of ours, or several with ", " between, as readers say them.

    families: the family of sentences of each such param, as a Fault names it.
    """
    joint = text(lang, "page.list.join")
    told: dict[str, object] = {
        name: joint.join(text(lang, f"{family}.{word}") for word in str(params[name]).split(", "))
        for name, family in families.items()
    }
    if "expected" in told:
        told["ought"] = text(lang, "bound.is", bound=told["expected"])
    return told


def in_words(lang: Lang, params: Mapping[str, object]) -> dict[str, object]:
    """Returns params as readers say them: a moment in China's time, a bound in words, an `office` by name.

    A bound is `expected`, and is written in one way: `1..64` (both included), `≥ 1`, `≤ 64`, `> 1`,
    `< 9`, with a number, a day, a month or a time in it; or several, with ", " between. With it comes
    `ought`, the same as it follows upon 应 in Chinese: `为 1 到 64`, `不大于 64`.
    """
    told = {name: _in_words(lang, name, value) for name, value in params.items()}
    if "expected" in told:
        told["ought"] = _ought(lang, params["expected"], told["expected"])
        if told["expected"] != params["expected"] and "got" in told:
            told["got"] = _as_bound(lang, told["got"])
    return told


def _as_bound(lang: Lang, got: object) -> object:
    """Returns a day or moment beside a bound as the bound itself says one; anything else as it is."""
    if isinstance(got, str) and _WHEN.fullmatch(got):
        # What was sent may look like a day, and be none of the calendar.
        with suppress(ValueError, OverflowError):
            return _end(lang, got)
    return got


def _ought(lang: Lang, written: object, said: object) -> object:
    is_side = isinstance(written, str) and _SIDE.match(written) is not None
    return said if is_side else text(lang, "bound.is", bound=said)


def _in_words(lang: Lang, name: str, value: object) -> object:
    if isinstance(value, datetime):
        return format_moment(lang, value)
    if name == "office":
        return office_name(lang, str(value))
    if name != "expected" or not isinstance(value, str):
        return value
    said = [_bound(lang, part) for part in value.split(", ")]
    # All are bounds, or it is something else: a list of words, an example.
    told = [one for one in said if one is not None]
    return text(lang, "bound.join").join(told) if len(told) == len(said) else value


def _bound(lang: Lang, written: str) -> str | None:
    """Returns a bound in words, None for what is none."""
    span = _SPAN.fullmatch(written)
    if span is not None:
        low, high = (_end(lang, end) for end in span.groups())
        if low == high:
            return low
        return text(lang, "bound.span", low=low, high=high)
    side = _SIDE.fullmatch(written)
    if side is None:
        return None
    of_time = "time" if "-" in side[2][1:] else "number"
    return text(lang, f"bound.{_SIDES[side[1]]}.{of_time}", bound=_end(lang, side[2]))


def _end(lang: Lang, written: str) -> str:
    if "T" in written:
        return format_moment(lang, parse_time(written))
    if _DAY.fullmatch(written):
        return format_date(lang, date.fromisoformat(written))
    return written


def has(key: str) -> bool:
    """Returns whether there is a sentence of this key."""
    return key in _sentences(DEFAULT)


def key_of_kind(family: str, kind: str) -> str | None:
    """Returns the key of the sentence on a kind like `continuity.missing_sale`, or else on its own family.

    None where there is neither.
    """
    for name in (kind, kind.split(".", maxsplit=1)[0]):
        if has(f"{family}.{name}"):
            return f"{family}.{name}"
    return None


def keys(lang: Lang) -> frozenset[str]:
    """Returns every key of a language, for the tests that keep both complete."""
    return frozenset(_sentences(lang))


# Few headers are sent by many readers. Of a long one, which nobody sends twice, few are kept.
@lru_cache(maxsize=256)
def pick_language(accept_language: str | None, explicit: str | None = None) -> Lang:
    """Returns the reader's language: the one asked for, else the best accepted one, else zh.

    explicit: a primary tag or longer (`en`, `zh-CN`); anything else is as if it were not given.
    """
    chosen = _language_of(explicit or "")
    if chosen is not None:
        return chosen
    best: tuple[float, Lang] | None = None
    for part in (accept_language or "").split(","):
        tag, _, rest = part.partition(";")
        offered = _language_of(tag)
        quality = _quality(rest)
        # The first of equals wins: a browser lists its reader's languages in order.
        if offered is not None and quality > 0 and (best is None or quality > best[0]):
            best = (quality, offered)
    return best[1] if best else DEFAULT


def format_moment(lang: Lang, moment: datetime) -> str:
    """Returns date and time to the minute as read in Asia/Shanghai; `moment` must be aware."""
    local = _local(moment)
    return f"{format_date(lang, local.date())}{' ' if lang == 'zh' else ', '}{local:%H:%M}"


def format_date(lang: Lang, day: date | datetime) -> str:
    """Returns a day: `2026-11-20`, `20 Nov 2026`. A datetime is read in Asia/Shanghai."""
    if isinstance(day, datetime):
        day = _local(day).date()
    if lang == "zh":
        return day.isoformat()
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def region_name(lang: Lang, code: str, *, short: bool = False, district: bool = False) -> str:
    """Returns the place of a six-digit code (GB/T 2260), never finer than a city: `广东 广州`.

    district: see `office_name`. short: the city alone where there is one, for a route.
    A code of no known province is returned as
    it is; what is no code at all gives "", since free text might be somebody's address. In English a
    city without a name of ours is shown as its province and code.
    """
    if district:
        return office_name(lang, code)
    if not _REGION.fullmatch(code):
        return ""
    if not has(f"region.{code[:2]}"):
        return code
    province = text(lang, f"region.{code[:2]}")
    if code[:2] in _WITHOUT_CITIES or code[2:] == "0000":
        return province
    # XX90YY are cities and counties directly under the province: there the last two digits count.
    city_code = code if code[2:4] == "90" else f"{code[:4]}00"
    if has(f"region.{code[:4]}"):
        city = text(lang, f"region.{code[:4]}")
    elif lang == "en":
        return f"{province} ({city_code})"
    else:
        city = _name_in_chinese(city_code).removesuffix("市")
    if not city:
        return province
    if short:
        return city
    return f"{province} {city}" if lang == "zh" else f"{city}, {province}"


def office_name(lang: Lang, code: str) -> str:
    """Returns where an authority is in office: as `region_name`, and of a district its own name and code too.

    An office is public, so that it is told as finely as it was given: `广东 肇庆 端州区 441202`. The names
    that are known are Chinese; without one a district is its code.
    """
    place = region_name(lang, code)
    if not place or place == code or code.endswith("00") or code[2:4] == "90":
        return place
    if lang == "zh" and (name := _name_in_chinese(code)):
        return f"{place} {name} {code}"
    return text(lang, "page.region.district", place=place, code=code)


def load(folder: Path) -> Mapping[str, str]:
    """Returns all sentences of one language's folder, merged.

    Raises ValueError if a key stands in two files, or a value is not a text.
    """
    return _merge((file.name, file.read_bytes()) for file in sorted(folder.glob("*.json")))


def _merge(files: Iterable[tuple[str, bytes]]) -> Mapping[str, str]:
    merged: dict[str, str] = {}
    home: dict[str, str] = {}
    for name, raw in files:
        for key, sentence in parse_json(raw).items():
            if key in merged:
                raise ValueError(f"{key} stands in {home[key]} and in {name}")
            if not isinstance(sentence, str):
                raise ValueError(f"{key} in {name} is not a text")  # noqa: TRY004 - bad data, not a bad call
            merged[key] = sentence
            home[key] = name
    return merged


@cache
def _sentences(lang: Lang) -> Mapping[str, str]:
    return load(_LOCALES / lang)


def _language_of(tag: str) -> Lang | None:
    primary = tag.strip().lower().replace("_", "-").partition("-")[0]
    return next((lang for lang in LANGUAGES if lang == primary), None)


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(float(value), 1.0)
    except ValueError:
        return 0.0


def _local(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(SHANGHAI)


def _name_in_chinese(code: str) -> str:
    """Returns the name of a city or district, "" where none is known."""
    parts = numdb.get("cn/loc").info(code)
    if len(parts) < 2:
        return ""
    # A code that changed hands lists its holders with their years, the latest last.
    name = str(parts[1][1].get("county", "")).split(",")[-1]
    return _YEARS.sub("", name)
