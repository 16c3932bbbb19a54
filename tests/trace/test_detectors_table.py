"""The figures that docs/detectors.md gives are those that the generator makes."""

from __future__ import annotations

from pathlib import Path

from app.bench.detectors import describe_detectors, measure_detectors

DOC = Path(__file__).resolve().parents[2] / "docs" / "detectors.md"


def test_the_documented_figures_are_made_again():
    _, _, rest = DOC.read_text("utf-8").partition("<!-- generated -->\n")
    told, _, _ = rest.partition("<!-- end -->")
    assert told == describe_detectors(measure_detectors())
