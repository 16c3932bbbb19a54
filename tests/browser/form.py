"""One form on an open page, filled in as a thumb does it: without a script of the page's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Form:
    """name: as in the page's anchors: review, follow_up, complaint, report."""

    page: Any
    name: str

    @property
    def panel(self) -> Any:
        return self.page.locator(f"#{self.name}")

    def open(self) -> Form:
        """Touches what leads to the form."""
        self.page.locator(f"a[href='#{self.name}']").first.click()
        self.panel.locator(".button-first").wait_for()
        return self

    def unguard(self) -> Form:
        """Makes the browser check nothing itself, like old ones and programs."""
        self.panel.locator("form").evaluate(
            """form => {
              form.noValidate = true;
              form.querySelectorAll("[maxlength]").forEach(one => one.removeAttribute("maxlength"));
            }"""
        )
        return self

    def fill(self, **values: str) -> Form:
        """Writes each value into its field; a choice is touched."""
        for name, value in values.items():
            field = self.panel.locator(f"[name={name}]")
            folded = self.panel.locator(f"details:not([open]):has([name={name}]) > summary")
            if folded.count():
                folded.click()
            if field.first.get_attribute("type") == "radio":
                self.panel.locator(f"label:has([name={name}][value='{value}'])").click()
            else:
                field.fill(value)
        return self

    def send(self) -> int:
        """Returns the status of the page that it brought."""
        with self.page.expect_navigation() as answer:
            self.panel.locator(".button-first").click()
        status: int = answer.value.status
        return status

    def send_twice(self) -> None:
        """Touches the button again before the answer is there; returns with the thanks."""
        self.panel.locator(".button-first").dblclick(no_wait_after=True)
        self.page.locator(".result h1").wait_for()

    def values(self) -> dict[str, str]:
        """Returns what stands in the form now, as the browser would send it."""
        told: dict[str, str] = self.panel.locator("form").evaluate(
            "form => Object.fromEntries(new FormData(form))"
        )
        return told

    def error(self, name: str) -> str:
        """Returns the sentence beside a field: in the same block, and tied to it for who listens."""
        said = self.panel.locator(f".field:has([name={name}]) .field-error")
        said.wait_for()
        tied = self.panel.locator(f"[aria-describedby~='{said.get_attribute('id')}']")
        assert tied.count() == 1, f"nothing is described by what is said about {name}"
        words: str = said.inner_text()
        return words
