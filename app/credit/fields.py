"""One JSON object read strictly: every field taken by name, what nobody took refused.

What a policy file is read with. Pure; knows nothing of what the fields mean.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NoReturn

from app.credit.rules import GRADES, Grade, RuleClass, Texts

_DECIMAL = re.compile(r"^[01](\.\d{1,6})?$", re.ASCII)


class BadPolicy(ValueError):
    """A policy file that must not be used: names the place and what is wrong with it."""

    def __init__(self, loc: str, problem: str) -> None:
        super().__init__(f"{loc}: {problem}")
        self.loc = loc


class Fields:
    """One JSON object, whose fields are taken by name; what nobody took is refused."""

    def __init__(self, values: object, loc: str) -> None:
        if not isinstance(values, dict):
            raise BadPolicy(loc, "expected an object")
        self.values: dict[str, Any] = values
        self._loc = loc
        self._taken: set[str] = set()

    def refuse(self, name: str, problem: str) -> NoReturn:
        raise BadPolicy(f"{self._loc}.{name}", problem)

    def done(self) -> None:
        unknown = sorted(set(self.values) - self._taken)
        if unknown:
            self.refuse(unknown[0], "unknown field")

    def integer(self, name: str, low: int, high: int = 1_000_000) -> int:
        value = self._take(name)
        if type(value) is not int or not low <= value <= high:
            self.refuse(name, f"expected an integer of {low}..{high}, got {value!r}")
        return value

    def optional_integer(self, name: str, low: int, high: int = 1_000_000) -> int | None:
        return self.integer(name, low, high) if name in self.values else None

    def decimal(self, name: str) -> Decimal:
        value = self._take(name)
        if not isinstance(value, str) or not _DECIMAL.match(value) or Decimal(value) > 1:
            self.refuse(name, f"expected a text of 0..1 with up to six decimals, got {value!r}")
        return Decimal(value)

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        if not isinstance(value, bool):
            self.refuse(name, f"expected true or false, got {value!r}")
        return value

    def words(self, name: str, allowed: tuple[str, ...]) -> frozenset[str]:
        value = self._take(name)
        known = isinstance(value, list) and all(type(w) is str and w in allowed for w in value)
        if not known or not value or len(set(value)) != len(value):
            self.refuse(name, f"expected some of {', '.join(allowed)}, each once, got {value!r}")
        return frozenset(value)

    def text(self, name: str) -> str:
        value = self._take(name)
        if not isinstance(value, str) or not value.strip():
            self.refuse(name, f"expected a text, got {value!r}")
        return value

    def literal(self, name: str, expected: str) -> None:
        if self.text(name) != expected:
            self.refuse(name, f"expected {expected}")

    def day(self, name: str) -> date:
        try:
            return date.fromisoformat(self.text(name))
        except ValueError as err:
            raise BadPolicy(f"{self._loc}.{name}", str(err)) from err

    def grade(self, name: str) -> Grade:
        value = self.text(name)
        found = next((grade for grade in GRADES if grade == value), None)
        if found is None:
            self.refuse(name, f"expected one of {', '.join(GRADES)}, got {value!r}")
        return found

    def rule_class(self) -> RuleClass:
        value = self.text("class")
        if value not in list(RuleClass):
            self.refuse("class", f"expected one of {', '.join(RuleClass)}, got {value!r}")
        return RuleClass(value)

    def texts(self, name: str) -> Texts:
        both = self.sub(name)
        found = {lang: both.text(lang) for lang in ("zh", "en")}
        both.done()
        return MappingProxyType(found)

    def sub(self, name: str) -> Fields:
        return Fields(self._take(name), f"{self._loc}.{name}")

    def subs(self, name: str) -> list[Fields]:
        items = self._take(name)
        if not isinstance(items, list):
            self.refuse(name, "expected a list")
        return [Fields(item, f"{self._loc}.{name}.{index}") for index, item in enumerate(items)]

    def _take(self, name: str) -> Any:
        if name not in self.values:
            self.refuse(name, "missing")
        self._taken.add(name)
        return self.values[name]
