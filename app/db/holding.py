"""Whether bytes stand in other bytes, as each of our databases says it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class HoldsBytes(FunctionElement[bool]):
    """The condition that bytes, the first, hold the second somewhere. No index helps it."""

    type = Boolean()
    inherit_cache = True


@compiles(HoldsBytes)
def _say(element: HoldsBytes, compiler: Any, **more: Any) -> str:
    whole, part = (compiler.process(one, **more) for one in element.clauses)
    return f"instr({whole}, {part}) > 0"


@compiles(HoldsBytes, "postgresql")
def _say_on_postgresql(element: HoldsBytes, compiler: Any, **more: Any) -> str:
    whole, part = (compiler.process(one, **more) for one in element.clauses)
    return f"position({part} IN {whole}) > 0"
