"""What lives lack, told from a stream's records alone: for whoever asks how it stood at an earlier moment.

The head of a stream and the rows of `due` know the present only. Here the same fold is run over the
records up to the moment that is asked about. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.trace import lifecycle
from app.trace.code import Code
from app.trace.gaps import Graces
from app.trace.replay import FindRecord, happening_of
from app.trace.soldrows import FindListings, healed, subject_of

Fields = Mapping[str, Any]


def lives_of(
    code: Code, records: Sequence[Fields], find: FindRecord, graces: Graces, late: FindListings
) -> dict[str, Fields]:
    """Returns the lives that records tell, by subject: "" for a unit, `consignment/<id>` on a lot.

    records: the stream's from its first on, in order of seq. late: listings that may have come since.
    """
    lives: dict[str, dict[str, Any]] = {}
    for fields in records:
        subject = subject_of(code, fields)
        if subject is None:
            continue
        life = lives.get(subject)
        if life is None:
            life = lifecycle.begin(records[0]["actor"], lot=code.lot) if subject else {}
        lives[subject] = lifecycle.fold_into(life, happening_of(fields, find), graces)
    return {subject: healed(life, late, None) for subject, life in lives.items()}
