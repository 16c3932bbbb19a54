"""How long a step of a life may be missing before it counts, by the policy in force."""

from __future__ import annotations

from app.credit.policy import load_policy
from app.trace.gaps import Graces


def graces_in_force() -> Graces:
    """Returns the graces of the policy in force, the same in every version (`check_successor`)."""
    told = load_policy(1).graces
    return Graces(late=told.late_record, dispatch=told.dispatch_due, signature=told.signature_due)
