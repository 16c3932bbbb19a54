"""Templates of commitments 信用承诺, one JSON file a version: the five categories of the opinion's art. 十.

A version is never edited once somebody signed it; a change is a new file. Who signs names the digest
of the text, so that nobody can say afterwards that another text was signed. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType

from app.credit.fields import Fields
from app.credit.rules import Texts
from app.kit.canonical import canonical_bytes, parse_json

FORMAT = "suxin-promises/1"
SEVEN_DAY_RETURN = "seven_day_return"
CATEGORIES = ("law", "information", "quality", "service", "duty")


@dataclass(frozen=True, slots=True)
class Template:
    """One text to sign. computed: by which rule breaches are seen in the records themselves.

    return_days, answer_days: of the return promise, whole days after that of the signature or the
    request. digest: SHA-256, 64 hex, of the canonical bytes of id, version and both texts.
    """

    id: str
    version: int
    category: str
    term_months: int
    computed: str | None
    return_days: int
    answer_days: int
    title: Texts
    text: Texts
    digest: str


@cache
def templates() -> Mapping[str, Template]:
    """Returns the newest version of every template, by id."""
    found: dict[str, Template] = {}
    for version in sorted(all_versions()):
        found |= all_versions()[version]
    return MappingProxyType(found)


@cache
def all_versions() -> Mapping[int, Mapping[str, Template]]:
    """Returns every version's templates. Raises BadPolicy for a file that is not as it must be."""
    folder = resources.files("app.credit") / "promises"
    files = [file for file in folder.iterdir() if file.name.endswith(".json")]
    return MappingProxyType(dict(_read(file.read_bytes()) for file in files))


def find_template(name: str, version: int | None = None) -> Template | None:
    """Returns a template, of the newest version that has it unless one is named; None: there is none."""
    if version is None:
        return templates().get(name)
    return all_versions().get(version, {}).get(name)


def _read(raw: bytes) -> tuple[int, Mapping[str, Template]]:
    top = Fields(parse_json(raw), "promises")
    top.literal("format", FORMAT)
    version = top.integer("version", 1)
    found = [_template(fields, version) for fields in top.subs("templates")]
    top.done()
    if len({one.id for one in found}) != len(found):
        top.refuse("templates", "the same id twice")
    return version, MappingProxyType({one.id: one for one in found})


def _template(fields: Fields, version: int) -> Template:
    category = fields.text("category")
    if category not in CATEGORIES:
        fields.refuse("category", f"expected one of {', '.join(CATEGORIES)}, got {category!r}")
    computed = fields.text("computed") if "computed" in fields.values else None
    if computed not in (None, SEVEN_DAY_RETURN):
        fields.refuse("computed", f"expected {SEVEN_DAY_RETURN}, got {computed!r}")
    name, text = fields.text("id"), fields.texts("text")
    signed = {"template": name, "version": version, "text": dict(text)}
    template = Template(
        id=name,
        version=version,
        category=category,
        term_months=fields.integer("term_months", 1, 60),
        computed=computed,
        return_days=fields.optional_integer("return_days", 1, 60) or 0,
        answer_days=fields.optional_integer("answer_days", 1, 60) or 0,
        title=fields.texts("title"),
        text=text,
        digest=hashlib.sha256(canonical_bytes(signed)).hexdigest(),
    )
    if computed is not None and not (template.return_days and template.answer_days):
        fields.refuse("computed", "needs return_days and answer_days")
    fields.done()
    return template
