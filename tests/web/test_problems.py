"""Problem documents: one status a slug, the reader's language, nothing leaked."""

from __future__ import annotations

import json
import re

import pytest

from app.credit.matters import (
    ACTIVE,
    KEPT,
    QUESTIONED,
    SHOWN,
    ListingRefused,
    PromiseRefused,
)
from app.credit.policy import Status
from app.credit.steps import StepRefused
from app.i18n import LANGUAGES, text
from app.kit.errors import Conflict, Denied, Fault, FieldFault, Unavailable, invalid
from app.oversight.decisions import AlreadyAttributed, AlreadyDismissed, FindingMoved
from app.oversight.findings import ATTRIBUTIONS, NobodyNamed, NotDismissable
from app.parties.roles import EVENTS
from app.parties.rules import NothingToLift
from app.parties.standing import MandateMissing
from app.trace.rights import NotTheHolder
from app.trace.sending import EventNotYours
from app.web.body import api_router
from app.web.problems import STATUS, describe, say_fault


class Stuck(Conflict):
    slug = "lifecycle-conflict"


def failing(app) -> None:
    router = api_router(tag="probe")

    @router.get("/fail/{how}")
    def probe_fail(how: str) -> dict:
        match how:
            case "bug":
                raise RuntimeError("password=hunter2 /var/lib")
            case "leak":
                raise Fault("internal_detail", where="/var/lib")
            case "busy":
                raise Unavailable("shutting_down", retry_after_s=7)
            case "stuck":
                raise Stuck("no_such_sentence_yet", reason="already_sold")
            case "wordless":
                raise Denied("a_key_without_a_sentence", what=object())
            case _:
                raise invalid(FieldFault(("a", 0, "b"), "no_such_kind", {"got": "x"}))

    app.include_router(router)


@pytest.fixture
def failing_service(start):
    with start(prepare=failing) as running:
        yield running


def test_every_problem_has_a_title_in_both_languages():
    for slug in STATUS:
        for lang in LANGUAGES:
            assert text(lang, f"problem.{slug}")


def test_the_slugs_of_all_faults_have_a_status():
    from tests.test_house import descendants, import_everything

    import_everything()
    assert {kind.slug for kind in descendants(Fault)} <= set(STATUS)


def test_a_problem_speaks_the_readers_language(service):
    english = service.call("GET", "/api/v1/nothing", headers={"Accept-Language": "en"})
    chinese = service.call("GET", "/api/v1/nothing", headers={"Accept-Language": "zh-CN,en;q=0.5"})
    silent = service.client.get("/api/v1/nothing")
    assert english.json()["title"] == "Not found"
    assert chinese.json()["title"] == silent.json()["title"] == "没有找到"
    assert english.headers["Content-Language"] == "en"
    assert "Accept-Language" in english.headers["Vary"]


def test_the_instance_is_the_requests_id(service):
    answer = service.call("GET", "/api/v1/nothing")
    assert answer.json()["instance"] == answer.headers["X-Request-Id"]
    assert answer.json()["status"] == answer.status_code == 404


def test_an_unexpected_error_tells_its_id_and_nothing_else(failing_service, capfd):
    answer = failing_service.call("GET", "/api/v1/fail/bug")
    assert (answer.status_code, answer.json()["type"]) == (500, "/problems/internal")
    assert set(answer.json()) == {"type", "title", "status", "detail", "instance"}
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    logged = "".join(capfd.readouterr())
    assert logged.count("request.failed") == 1, "logged once, with what an operator needs"
    assert answer.json()["instance"] in logged
    assert "hunter2" in logged


def test_an_internal_fault_leaks_no_parameters(failing_service):
    answer = failing_service.call("GET", "/api/v1/fail/leak")
    assert answer.status_code == 500
    assert "/var/lib" not in answer.text


def test_unavailable_says_when_to_come_back(failing_service):
    answer = failing_service.call("GET", "/api/v1/fail/busy")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")


def test_a_conflict_names_its_reason(failing_service):
    answer = failing_service.call("GET", "/api/v1/fail/stuck")
    assert (answer.status_code, answer.json()["reason"]) == (409, "already_sold")


def test_a_missing_sentence_is_no_error_of_ours(failing_service):
    assert failing_service.call("GET", "/api/v1/fail/wordless").status_code == 403
    answer = failing_service.call("GET", "/api/v1/fail/field")
    (error,) = answer.json()["errors"]
    assert (error["loc"], error["kind"]) == (["a", 0, "b"], "no_such_kind")
    assert error["msg"]


def test_a_wrong_method_keeps_its_status_and_names_all_that_are_right(service):
    answer = service.call("PUT", "/api/v1/parties/91441200MA4TE5T00Q/keys", {})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert answer.json()["type"] == "/problems/method-not-allowed"


def test_a_problem_of_one_item_is_the_same_document():
    problem = describe(invalid(FieldFault(("at",), "null")), lang="en", instance="x")
    assert problem["status"] == 422
    assert problem["errors"] == [
        {"loc": ["at"], "kind": "null", "msg": text("en", "field.null")}
    ]  # fmt: skip
    json.dumps(problem)


def test_a_hundred_wrong_fields_are_all_told():
    faults = [FieldFault((f"f{n}",), "null") for n in range(101)]
    assert "left_out" not in describe(invalid(*faults[:100]), lang="en", instance="x")
    assert describe(invalid(*faults), lang="en", instance="x")["left_out"] == 1


def test_a_line_about_very_many_wrong_fields_ends_with_how_many_more_there_are():
    fault = invalid(*[FieldFault((f"f{n}",), "null") for n in range(107)])
    said = say_fault(fault, "en", with_places=True)
    assert "f99: " in said
    assert "f100: " not in said
    assert said.endswith("; 7 more are wrong too.")
    assert say_fault(fault, "zh").endswith("; 另有 7 个也不对。")


def test_a_page_may_answer_readers_of_html(start):
    from fastapi.responses import HTMLResponse

    def page(request, fault):
        return HTMLResponse(f"<h1>{fault.slug}</h1>", 404)

    with start(prepare=lambda app: setattr(app.state, "problem_page", page)) as running:
        html = running.call("GET", "/nothing", headers={"Accept": "text/html,*/*"})
        plain = running.call("GET", "/nothing")
    assert html.text == "<h1>not-found</h1>"
    assert plain.headers["Content-Type"] == "application/problem+json"


def test_a_refusal_names_kinds_and_states_in_the_readers_words():
    """What programs write stands in `reason` and in the request; a Chinese sentence has none of it."""
    refusals = [
        *(EventNotYours("event_not_yours", type=type_) for type_ in EVENTS),
        *(NotTheHolder("not_the_holder", type=type_) for type_ in EVENTS),
        *(NotTheHolder("not_the_brand_owner", type=type_) for type_ in ("recall", "notice")),
        *(MandateMissing("no_mandate", actor="1", agent="2", type=type_) for type_ in EVENTS),
        *(NothingToLift("nothing_to_lift", kind=kind) for kind in ("delist", "suspend", "warn")),
        *(AlreadyAttributed("already_attributed", to=to) for to in ATTRIBUTIONS),
        *(StepRefused("credit_wrong_state", status=str(status)) for status in Status),
        *(PromiseRefused("credit_wrong_state", status=one) for one in (ACTIVE, QUESTIONED, KEPT)),
        *(ListingRefused("credit_wrong_state", status=one) for one in SHOWN.values()),
        NobodyNamed("nobody_named"),
        NotDismissable("not_dismissable"),
        AlreadyDismissed("already_dismissed"),
        FindingMoved("finding_moved"),
    ]
    for refusal in refusals:
        said = describe(refusal, lang="zh", instance="i")["detail"].replace("/docs", "")
        assert not re.search("[A-Za-z_]", said), said
        told = describe(refusal, lang="en", instance="i")
        assert told["detail"] != told["title"]


def test_the_choices_of_a_field_are_told_apart_by_commas_in_every_language(service):
    path = "/api/v1/webhooks"
    body = {"url": "https://shop.example/hook", "events": ["nothing"]}
    for lang, join in (("zh", "只能是其中之一：credit.warning, "), ("en", "credit.warning, ")):
        answer = service.call(
            "POST", path, body, token=service.admin, headers={"Accept-Language": lang}
        )
        (fault,) = answer.json()["errors"]
        assert join in fault["msg"]
        assert " or " not in fault["msg"]
