"""GS1 element strings as an encoder takes them: `[01]…[10]…[21]…`.

People write `(01)…(10)…(21)…` (GS1 General Specifications 4.14), but round brackets may also stand
inside a lot or serial (CSET 82), so that an encoder can read such a text in two ways. Square ones
are outside the set. Check digits, dates and which AI requires which are the caller's.
"""

from __future__ import annotations

import re

from app.kit.errors import Invalid

# A bracket counts as data where no AI follows it, or where a backslash stands before it.
_ROUND = re.compile(r"\((\d{2,4})\)((?:\\[()]|[^\\(]|\((?!\d{2,4}\)))+)", re.ASCII)
_SQUARE = re.compile(r"\[(\d{2,4})\]([^\[\]]+)", re.ASCII)
_ESCAPED = re.compile(r"\\([()])")
# CSET 82 (General Specifications 7.11). The encoder itself lets any ASCII through.
_VALUE = re.compile(r"[!\"%-?A-Z_a-z]+", re.ASCII)


def square_brackets(element_string: str) -> str:
    r"""Returns `[ai]value` for each element, in the order given.

    Takes that form too, and the round one, in which `\(` is a bracket of the value.
    Raises Invalid (`symbol_elements`) if the text is neither, a value leaves CSET 82, or an AI
    stands twice: that is how a round form reads when a value holds brackets that nobody escaped.
    """
    written = _SQUARE if element_string.startswith("[") else _ROUND
    pairs = []
    position = 0
    while match := written.match(element_string, position):
        pairs.append((match[1], match[2] if written is _SQUARE else _ESCAPED.sub(r"\1", match[2])))
        position = match.end()
    understood = bool(pairs) and position == len(element_string)
    once = len({name for name, _ in pairs}) == len(pairs)
    if not understood or not once or not all(_VALUE.fullmatch(value) for _, value in pairs):
        raise Invalid("symbol_elements", got=element_string[:80])
    return "".join(f"[{name}]{value}" for name, value in pairs)
