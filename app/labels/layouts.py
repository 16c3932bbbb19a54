"""Where labels stand on paper, and what stands where on a label.

Three A4 sheets as they are sold everywhere and one roll. Lengths are millimetres, sizes of type
points. A layout knows no printer: how many of its dots a module takes is decided by `placing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

LayoutName = Literal["a4-3x8", "a4-4x10", "a4-5x13", "roll-60x40"]

MM: Final = 72 / 25.4
"""Points in a millimetre."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of paper.

    left, top: of the first label; step_x, step_y: from one label to the next. Nothing is drawn
    within `inset` of a label's edge: the blade, the feed and the printer each miss by a little.
    box: side of the square in which the symbol's dark modules lie, in the middle of the label's
    height; box_left: from the label's edge. smallest_value_size: smaller no code is printed, it gets
    narrower instead. words: whether a word stands before each code, where there is room for it.
    """

    name: LayoutName
    page_width: float
    page_height: float
    columns: int
    rows: int
    cell_width: float
    cell_height: float
    inset: float
    box_left: float
    box: float
    text_left: float
    text_top: float
    title_size: float
    title_leading: float
    word_size: float
    value_size: float
    smallest_value_size: float
    field_leading: float
    most_fields: int
    gap: float
    inner_word_size: float
    inner_word_leading: float
    inner_height: float
    left: float = 0.0
    top: float = 0.0
    step_x: float = 0.0
    step_y: float = 0.0
    title_lines: int = 2
    words: bool = True

    @property
    def places(self) -> int:
        """Labels on a page."""
        return self.columns * self.rows

    @property
    def text_width(self) -> float:
        """Room for a line of text."""
        return self.cell_width - self.text_left - self.inset

    @property
    def quiet_room(self) -> float:
        """The empty room that every side of the box has at least."""
        above = (self.cell_height - self.box) / 2
        return min(self.box_left, self.text_left - self.box_left - self.box, above)

    def corner(self, place: int) -> tuple[float, float]:
        """Returns left and top of a place on the page; places are counted row by row from 0."""
        row, column = divmod(place, self.columns)
        step_x, step_y = self.step_x or self.cell_width, self.step_y or self.cell_height
        return self.left + column * step_x, self.top + row * step_y


_A4_3X8 = Layout(
    name="a4-3x8",
    page_width=210,
    page_height=297,
    columns=3,
    rows=8,
    cell_width=70,
    cell_height=37.125,
    inset=4.5,  # edge to edge: office printers cannot print there
    box_left=5.0,
    box=26.0,
    text_left=34.3,
    text_top=5.0,
    title_size=8.5,
    title_leading=3.5,
    word_size=5.5,
    value_size=6.8,
    smallest_value_size=5.5,
    field_leading=2.9,
    most_fields=4,
    gap=0.7,
    inner_word_size=5.0,
    inner_word_leading=2.5,
    inner_height=4.8,
)

_A4_4X10 = Layout(
    name="a4-4x10",
    page_width=210,
    page_height=297,
    columns=4,
    rows=10,
    cell_width=52.5,
    cell_height=29.7,
    inset=4.5,  # edge to edge as well
    box_left=4.5,
    box=17.5,
    text_left=24.0,
    text_top=4.7,
    title_size=7.0,
    title_leading=2.9,
    word_size=5.0,
    value_size=6.0,
    smallest_value_size=5.0,
    field_leading=2.5,
    most_fields=3,
    gap=0.5,
    inner_word_size=4.5,
    inner_word_leading=2.1,
    inner_height=4.0,
)

_A4_5X13 = Layout(
    name="a4-5x13",
    page_width=210,
    page_height=297,
    columns=5,
    rows=13,
    cell_width=38.1,
    cell_height=21.2,
    inset=1.2,  # the sheet has margins of its own
    left=4.75,
    top=10.7,
    step_x=40.6,
    step_y=21.2,
    box_left=1.8,
    box=14.2,
    text_left=17.8,
    text_top=1.4,
    title_size=6.5,
    title_leading=2.5,
    word_size=4.5,
    value_size=5.6,
    smallest_value_size=4.5,
    field_leading=2.2,
    most_fields=3,
    gap=0.4,
    inner_word_size=4.5,
    inner_word_leading=2.1,
    inner_height=3.6,
    words=False,
)

_ROLL_60X40 = Layout(
    name="roll-60x40",
    page_width=60,
    page_height=40,
    columns=1,
    rows=1,
    cell_width=60,
    cell_height=40,
    inset=2.0,
    box_left=3.2,
    box=26.0,
    text_left=32.4,
    text_top=8.0,
    title_size=8.5,
    title_leading=3.5,
    word_size=5.5,
    value_size=6.8,
    smallest_value_size=5.5,
    field_leading=2.9,
    most_fields=4,
    gap=0.7,
    inner_word_size=5.0,
    inner_word_leading=2.5,
    inner_height=4.8,
)

LAYOUTS: Final[Mapping[LayoutName, Layout]] = {
    layout.name: layout for layout in (_A4_3X8, _A4_4X10, _A4_5X13, _ROLL_60X40)
}
