"""What comes of verifying an evidence bundle, and how it is handed on. Says nothing of how to verify."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["matches", "differs", "unreadable", "unanchored"]
EXIT_CODES: Mapping[Verdict, int] = {"matches": 0, "differs": 1, "unreadable": 2, "unanchored": 3}
"""`suxin verify`. Unanchored: consistent, but no key was given to check it against."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to say. The sentence is `bundle.<key>` in the locales; `params` fill it.

    place: where in the bundle, such as `streams[0].records[2]`; "" where that says nothing.
    """

    key: str
    place: str = ""
    params: Mapping[str, str | int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"key": self.key, "place": self.place, "params": dict(self.params)}


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What came of verifying a bundle.

    broken: what is wrong, first place first. checked, unchecked: what was looked at and what no
    bundle can show, with counts. pending: records that no signed checkpoint covers; nothing of
    them is counted in checked.
    """

    verdict: Verdict
    subject: str
    broken: tuple[Remark, ...] = ()
    checked: tuple[Remark, ...] = ()
    unchecked: tuple[Remark, ...] = ()
    pending: tuple[Remark, ...] = ()

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """Returns the report as `--json` prints it."""
        parts = {
            "broken": self.broken,
            "checked": self.checked,
            "unchecked": self.unchecked,
            "pending": self.pending,
        }
        return {
            "verdict": self.verdict,
            "exit_code": self.exit_code,
            "subject": self.subject,
            **{name: [remark.as_json() for remark in found] for name, found in parts.items()},
        }
