"""What comes of verifying an evidence bundle, and how it is handed on. Says nothing of how to verify."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from app.ledger.bundle_steps import StepTold

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


_MAX_SHOWN = 160


def remark(key: str, place: str = "", **params: str | int) -> Remark:
    """Returns a remark in which nothing can break the line or fill the page."""
    return Remark(key, place, {name: shown(value) for name, value in params.items()})


def shown(value: str | int) -> str | int:
    """Returns what may stand in a message: no control characters, not too long."""
    if not isinstance(value, str):
        return value
    return "".join(char if char.isprintable() else "\ufffd" for char in value[:_MAX_SHOWN])


@dataclass(frozen=True, slots=True)
class BundleReport:
    """What came of verifying a bundle.

    broken: what is wrong, first place first. checked, unchecked: what was looked at and what no
    bundle can show, with counts. pending: records that no signed checkpoint covers; nothing of
    them is counted in checked. steps: of a unit; None of anything else, and of what differs or cannot
    be read, for nothing follows from that.
    """

    verdict: Verdict
    subject: str
    broken: tuple[Remark, ...] = ()
    checked: tuple[Remark, ...] = ()
    unchecked: tuple[Remark, ...] = ()
    pending: tuple[Remark, ...] = ()
    steps: tuple[StepTold, ...] | None = None

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.verdict]

    def sum_up(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yields what stands beside the verdict: the sentence `bundle.<key>`, and the steps it names.

        That no step is missing is said only of what matches.
        """
        whole = self.verdict == "matches" and self.steps is not None
        for status in ("missing", "pending", "none"):
            named = tuple(one.step for one in self.steps or () if one.status == status)
            if named:
                whole = False
                yield f"steps_{status}", named
        if whole:
            yield "steps_whole", ()

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
            "steps": None if self.steps is None else [step.as_json() for step in self.steps],
        }
