"""Reads the cells of one row, gathering every fault of it instead of stopping at the first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from app.imports.cells import CellWrong, clean
from app.imports.problems import Outcome, Problem, of_error
from app.imports.sheet import Row
from app.kit.errors import FieldFault, Invalid

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Planned:
    """What a row would do.

    payload: what is to be applied, None where nothing is. key: what the row is about, to find it twice
    in one file. gtin, lot: the goods, carrier: who is to bring them, for questions to the database.
    typed: the time of an event as it stood, to be told beside a fault of it.
    late: faults by a rule that is younger than records may be: they refuse the row unless what it says is
    on record already.
    """

    row: int
    outcome: Outcome
    payload: Mapping[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    key: str = ""
    gtin: str = ""
    lot: str = ""
    carrier: str = ""
    typed: str = ""
    late: tuple[Problem, ...] = ()

    def refused(self, *problems: Problem) -> Planned:
        """Returns the row as refused for these problems beside its own."""
        told = (*self.problems, *self.late, *problems)
        return replace(self, outcome="refused", payload=None, problems=told, late=())


@dataclass(slots=True)
class Reader:
    """The cells of one row. private: fields whose values no message may repeat. late: as of Planned."""

    row: Row
    columns: Mapping[str, str]
    defaults: Mapping[str, str]
    private: Collection[str] = ()
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    late: list[Problem] = field(default_factory=list)

    def text(self, name: str, *, required: bool = False) -> str:
        """Returns a cell as its writer meant it, else the default, else ""."""
        given = self.row.values.get(name, "")
        try:
            value = clean(given) or clean(self.defaults.get(name, ""))
        except CellWrong as wrong:
            self.problems.append(of_error(wrong, name, self._column(name), self._shown(name)))
            return ""
        if required and not value:
            missing = FieldFault((name,), "missing", {})
            self.problems.append(of_error(missing, name, self._column(name), ""))
        return value

    def read(self, name: str, read: Callable[[str], T], *, required: bool = False) -> T | None:
        """Returns a cell's value, None for an empty or a wrong one, which is noted."""
        value = self.text(name, required=required)
        if not value:
            return None
        try:
            return read(value)
        except CellWrong as wrong:
            self.problems.append(
                of_error(wrong, name, self._column(name), self._shown(name, value))
            )
        except Invalid as refused:
            self.refuse(refused.errors, as_field=name)
        return None

    def refuse(self, errors: Sequence[FieldFault], *, as_field: str = "") -> None:
        """Notes faults that a rule found in fields of this row."""
        self.problems += (self._problem(error, as_field) for error in errors)

    def refuse_unless_known(self, errors: Sequence[FieldFault], *, as_field: str = "") -> None:
        """Notes faults by a rule that is younger than records may be."""
        self.late += (self._problem(error, as_field) for error in errors)

    def refuse_with(self, name: str, kind: str, **params: object) -> None:
        """Notes one fault of a field."""
        self.refuse((FieldFault((name,), kind, params),), as_field=name)

    def refuse_choice(self, name: str, got: str, known: Iterable[str], *, family: str) -> None:
        """Notes a word that is none of `known`. family: of the sentences by which people know those."""
        params = {"expected": ", ".join(known), "got": got[:40]}
        fault = FieldFault((name,), "enum", params, words={"expected": family})
        self.refuse((fault,), as_field=name)

    def warn(self, name: str, kind: str, **params: str | int) -> None:
        """Notes what was not taken as it stood."""
        if kind:
            shown = self._shown(name)
            self.warnings.append(
                Problem(kind, f"import.warn.{kind}", name, self._column(name), shown[:80], params)
            )

    def refused(self, *, key: str = "", gtin: str = "", lot: str = "") -> Planned:
        """Returns the row as refused, with all that was noted.

        gtin, lot: where they could be read, so that it is told too if they are not on record.
        """
        problems = (*self.problems, *self.late)
        return Planned(
            self.row.number, "refused", None, problems, tuple(self.warnings), key=key, gtin=gtin,
            lot=lot,
        )  # fmt: skip

    def _problem(self, error: FieldFault, as_field: str) -> Problem:
        name = as_field or next(
            (str(part) for part in reversed(error.loc) if isinstance(part, str)), ""
        )
        return of_error(error, name, self._column(name), self._shown(name))

    def _column(self, name: str) -> str:
        return self.columns.get(name, "")

    def _shown(self, name: str, value: str | None = None) -> str:
        if name in self.private:
            return ""
        return value if value is not None else self.row.values.get(name, "").strip()
