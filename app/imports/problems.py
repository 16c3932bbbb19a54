"""What is wrong with a row, in a form that can be stored and told in any language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as made_by
from datetime import datetime
from typing import Any, Literal

from app.i18n import Lang, has, in_words, text, worded
from app.imports.cells import CellWrong
from app.kit.clock import format_time, parse_time
from app.kit.errors import Fault, FieldFault

Outcome = Literal["created", "unchanged", "skipped", "refused", "waiting"]
SHOWN = 80
"""Characters of a cell that are told."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault or a warning of one cell, or of the row (field "").

    column: the header as it stands in the file. value: as it stood there, cut. kind: a stable word.
    key: of the sentence, as in `field.check_digit`. params: a time stands there as `{"time": …}`, so that
    it can be stored. words: as of a Fault.
    """

    kind: str
    key: str
    field: str = ""
    column: str = ""
    value: str = ""
    params: Mapping[str, str | int | Mapping[str, str]] = made_by(default_factory=dict)
    words: Mapping[str, str] = made_by(default_factory=dict)

    def at_column(self, columns: Mapping[str, str]) -> Problem:
        """Returns the problem at the column that its field stands in. columns: field to header."""
        return replace(self, column=self.column or columns.get(self.field, ""))

    @property
    def is_warning(self) -> bool:
        """Whether the row was taken all the same."""
        return self.key.startswith("import.warn.")

    def as_json(self) -> dict[str, Any]:
        """Returns the problem without what it does not have."""
        told = {
            "kind": self.kind,
            "key": self.key,
            "field": self.field,
            "column": self.column,
            "value": self.value,
            "params": dict(self.params),
            "words": dict(self.words),
        }
        return {name: value for name, value in told.items() if value not in ("", {})}

    def told(self, lang: Lang) -> str:
        """Returns the sentence for a reader."""
        name, got = self.column or self.field, self.value or "…"
        blanks = {"name": name, "expected": "…", "ought": "…", "got": got}
        key = self.key if has(self.key) else "field.wrong"
        try:
            params = {name: _read(value) for name, value in self.params.items()}
            told = in_words(lang, params) | worded(lang, params, self.words)
            return text(lang, key, **(blanks | told))
        except (KeyError, IndexError):
            return text(lang, "field.wrong", **blanks)

    def expected(self, lang: Lang) -> str:
        """Returns what is asked for: for this kind of problem, else by the column, "" where by neither."""
        key = f"import.asks.{self.kind}"
        if has(key):
            return text(lang, key)
        key = f"import.expects.{self.field}"
        return text(lang, key) if self.field and has(key) else ""


def of_error(error: CellWrong | FieldFault, name: str, column: str, value: str) -> Problem:
    """Returns the problem of a cell that could not be read, or of a field that a rule refused."""
    key = f"field.{error.sentence or error.kind}"
    words = error.words if isinstance(error, FieldFault) else {}
    return Problem(error.kind, key, name, column, value[:SHOWN], _plain(error.params), words)


def of_fault(fault: Fault) -> Problem:
    """Returns the problem of a row that a service refused."""
    for error in fault.errors:
        if error.kind != "refused":
            name = str(error.loc[-1]) if error.loc else ""
            return of_error(error, name, "", "")
    params = _plain(fault.params)
    return Problem(
        fault.reason or fault.slug, f"fault.{fault.key}", params=params, words=fault.words
    )


def of_row(row: Any) -> tuple[Problem, ...]:
    """Returns the problems of a job's row as it is stored."""
    return tuple(Problem(**one) for one in json.loads(row.problems)) if row.problems else ()


def _plain(params: Mapping[str, object]) -> dict[str, str | int | Mapping[str, str]]:
    return {name: _stored(value) for name, value in params.items() if name != "name"}


def _stored(value: object) -> str | int | Mapping[str, str]:
    if isinstance(value, datetime):
        return {"time": format_time(value)}
    return value if isinstance(value, int) else str(value)[:200]


def _read(value: str | int | Mapping[str, str]) -> object:
    return parse_time(value["time"]) if isinstance(value, Mapping) else value
