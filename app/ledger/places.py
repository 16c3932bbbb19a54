"""Where a problem is, as it is told outside: the log's origin and the leaf's index inside it.

Inside, a leaf is named by its position over all logs, which is one number and never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy import Connection

from app.ledger import logstore
from app.ledger.verifier import Problem


def tell_places(connection: Connection, problems: Iterable[Problem]) -> list[Problem]:
    """Returns problems whose leaf_index is that inside the log which their evidence names. Read-only."""
    told = list(problems)
    if not any(problem.leaf_index is not None for problem in told):
        return told
    states = logstore.load_states(connection)
    return [_tell(problem, states) for problem in told]


def _tell(problem: Problem, states: list[logstore.TreeState]) -> Problem:
    if problem.leaf_index is None or not states:
        return problem
    state, index = logstore.locate(states, problem.leaf_index)
    return replace(
        problem, leaf_index=index, evidence={**problem.evidence, "log": str(state.origin)}
    )
