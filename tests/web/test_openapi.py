"""What the service says about itself: the description and the page at /docs."""

from __future__ import annotations

import re

from app.parties.roles import ACTIONS, EVENTS


def test_every_operation_declares_its_refusals_as_problems(market):
    found = market.call("GET", "/openapi.json").json()
    assert "HTTPValidationError" not in found["components"]["schemas"]
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            refusals = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert {"400", "401", "422", "429", "500", "503"} <= set(refusals), where
            assert ("413" in refusals) == ("requestBody" in operation), where
            for response in refusals.values():
                assert list(response["content"]) == ["application/problem+json"], where
            assert operation["summary"], where


def test_json_bodies_have_an_example_that_can_be_sent(market):
    found = market.call("GET", "/openapi.json").json()
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            if "application/json" not in content:
                continue
            schema = content["application/json"]["schema"]
            name = schema.get("$ref", "").removeprefix("#/components/schemas/")
            named = found["components"]["schemas"].get(name, schema)
            assert named.get("examples") or content["application/json"].get("examples"), (
                f"{method} {path}"
            )


def test_operations_that_need_a_key_say_so(market):
    paths = market.call("GET", "/openapi.json").json()["paths"]
    assert paths["/api/v1/parties"]["post"]["security"] == [{"key": []}]
    assert paths["/api/v1/parties/{party}"]["get"]["security"] == [{}, {"key": []}]
    assert "security" not in paths["/healthz"]["get"]
    schemes = market.call("GET", "/openapi.json").json()["components"]["securitySchemes"]
    assert list(schemes) == ["key"]


def test_docs_show_every_operation_and_the_whole_table_of_roles(market):
    page = market.call("GET", "/docs").text
    for path, methods in market.call("GET", "/openapi.json").json()["paths"].items():
        assert all(f"{method.upper()} {path}" in page for method in methods)
    assert all(f"<code>{name}</code>" in page for name in (*ACTIONS, *EVENTS))
    assert "mandate:platform" in page


def test_docs_speak_both_languages(market):
    assert "What a role may do" in market.call("GET", "/docs").text
    assert "每种角色能做什么" in market.client.get("/docs").text
    assert 'lang="en"' in market.client.get("/docs?lang=en").text


def test_docs_ask_nothing_of_other_hosts_and_need_no_script(market):
    page = market.call("GET", "/docs").text
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)
    assert "<script" not in page
    assert "style=" not in page
    for link in set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page)):
        assert market.call("GET", link).status_code == 200


def test_a_problems_type_leads_to_its_line(market):
    answer = market.call("GET", "/problems/no-mandate")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/docs#problem-no-mandate")
    assert 'id="problem-no-mandate"' in market.call("GET", "/docs").text
    assert market.call("GET", "/problems/nonsense").status_code == 404
