"""Forms as a page shows them: their controls with what stands in them, and what is said beside each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

_VOID = frozenset({"meta", "link", "input", "br", "hr", "img", "circle", "path", "use", "rect"})
_HEADERLESS = frozenset({"hidden", "submit", "button"})


@dataclass
class Control:
    """One element that sends something. kind: its type, or `textarea`, `select`.

    offered: what a select, a radio button or a check box can send; chosen: what it sends now.
    about: ids of what describes it, or the group that it stands in.
    """

    name: str
    kind: str
    chosen: list[str]
    offered: list[str]
    about: list[str]
    is_marked: bool

    @property
    def is_seen(self) -> bool:
        return self.kind not in _HEADERLESS


@dataclass
class ShownForm:
    """buttons: (name, value) of those that send something by themselves."""

    action: str
    method: str
    controls: list[Control] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    def named(self, name: str) -> list[Control]:
        return [one for one in self.controls if one.name == name]

    def names(self) -> list[str]:
        """Returns the names of what a person fills in, each once."""
        return list(dict.fromkeys(one.name for one in self.controls if one.is_seen))

    def values(self, name: str) -> list[str]:
        """Returns what the form would send under a name."""
        return [value for one in self.named(name) for value in one.chosen]

    def offers(self, name: str) -> list[str]:
        return [value for one in self.named(name) for value in one.offered]


class Shown(HTMLParser):
    """A page's forms, and its words by the id of the element in which they stand."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[ShownForm] = []
        self.words: dict[str, str] = {}
        self.alerts: list[str] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()

    def said_about(self, form: ShownForm, name: str) -> str:
        """Returns what is said about a field because it was refused, "" for nothing."""
        ids = [id_ for one in form.named(name) for id_ in one.about if id_.endswith("-error")]
        return " ".join(self.words.get(id_, "").strip() for id_ in dict.fromkeys(ids)).strip()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(ShownForm(told.get("action", ""), told.get("method", "get").lower()))
        elif self.forms and any(name == "form" for name, _ in self._open):
            self._take(tag, told)
        if told.get("role") == "alert":
            self.alerts.append("")
        if tag not in _VOID:
            self._open.append((tag, told))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, told in self._open:
            if "id" in told:
                self.words[told["id"]] = self.words.get(told["id"], "") + data
            if told.get("role") == "alert":
                self.alerts[-1] += data
        inner = self._open[-1][0] if self._open else ""
        if inner == "textarea" and self.forms:
            control = self.forms[-1].controls[-1]
            control.chosen = [control.chosen[0] + data]

    def _take(self, tag: str, told: dict[str, str]) -> None:
        form = self.forms[-1]
        if tag == "option":
            control = form.controls[-1]
            control.offered.append(told.get("value", ""))
            if "selected" in told or not control.chosen:
                control.chosen = [told.get("value", "")]
        elif tag == "button":
            if told.get("type") != "button" and told.get("name"):
                form.buttons.append((told["name"], told.get("value", "")))
        elif tag in ("input", "textarea", "select") and told.get("name"):
            kind = told.get("type", "text") if tag == "input" else tag
            picked = kind in ("radio", "checkbox")
            value = told.get("value", "on" if picked else "")
            form.controls.append(
                Control(
                    name=told["name"],
                    kind=kind,
                    chosen=[] if tag == "select" or (picked and "checked" not in told) else [value],
                    offered=[value] if picked else [],
                    about=told.get("aria-describedby", "").split() + list(self._about_group()),
                    is_marked=told.get("aria-invalid") == "true",
                )
            )

    def _about_group(self) -> Iterator[str]:
        for tag, told in self._open:
            if tag == "fieldset":
                yield from told.get("aria-describedby", "").split()
