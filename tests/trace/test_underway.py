"""Events handed over in parts: what a part that is refused does to the others."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from app.kit.errors import Conflict, Overloaded
from app.trace.requests import EventRequest
from app.trace.underway import Underway, parts_of, runs_of
from tests.ledger.ledgers import submission


def full() -> Any:
    raise Overloaded("queue_full")


def test_a_part_that_finds_the_queue_full_refuses_its_own_events_alone():
    first: Future[list[Any]] = Future()
    wrong = Conflict("taken")
    underway = Underway()
    underway.add([submission(), wrong, submission()], lambda: first)
    underway.add([submission(), wrong], full)
    first.set_result(["one", "two"])
    answers = list(underway)
    assert answers[:3] == ["one", wrong, "two"]
    assert isinstance(answers[3], Overloaded)
    assert answers[4:] == [wrong]
    assert list(underway) == answers, "they can be asked for again"


def test_a_queue_that_is_full_for_the_first_part_refuses_them_all():
    with pytest.raises(Overloaded):
        Underway().add([submission()], full)


def test_what_can_not_be_prepared_is_not_handed_over():
    underway = Underway()
    underway.add([Conflict("taken")], full)
    assert [type(one) for one in underway] == [Conflict]


def test_parts_are_all_of_a_run_in_order():
    run: list[Any] = [*range(601)]
    assert [one for part in parts_of(run) for one in part] == run
    assert max(map(len, parts_of(run))) < len(run)
    assert runs_of([], atomic=False) == [[]]


def test_a_word_about_a_case_waits_for_the_signature_that_took_the_goods_out_of_it():
    case = {"case": "306912345000000025"}
    first = EventRequest(code="01/1/21/A", type="signature", data={})
    word = EventRequest(code="01/1/21/A", type="signature", data=case)
    other = EventRequest(code="01/1/21/B", type="signature", data=case)
    assert runs_of([first, other, word], atomic=False) == [[first, other], [word]]
    assert runs_of([first, other, word], atomic=True) == [[first, other, word]]
