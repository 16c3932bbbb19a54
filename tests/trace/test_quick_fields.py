"""What the quick check takes the careful one takes, with the very same outcome; all else it leaves."""

from __future__ import annotations

import random
from typing import Any

import pytest

from app.trace.events import EVENT_TYPES
from app.trace.fields import FieldReader, Rule
from app.trace.identifiers import Code, parse_code
from app.trace.quick_fields import QuickReader

# Right for some shape, or wrong in a way of its own.
VALUES: tuple[Any, ...] = (
    "广东", "x", "x" * 64, "x" * 65, "", " ", "a\u3000b", "\u3000", "a\x07", "e\u0301", "é", "\u0378",
    "\ud800", "440100", "999999", "in_person", "quality", "food", "1210", "1aB2",
    "A" * 64, "g" * 64, "2026-02-28", "2026-02-30", "2026-11-23T15:00:00+08:00", "yesterday",
    "306912345000000018", "306912345000000015",
    "https://shop.example/p", "javascript:x", "0192F3A0-0000-7000-8000-000000000001",
    0, 1, 3, 5, 6, True, False, None, 1.5, [], ["x"], {}, {"mode": "1210"}, {"region": "440100"},
)  # fmt: skip
KINDS = [(name, level) for name, kind in EVENT_TYPES.items() for level in kind.levels]


def read(name: str, rules: dict[str, Rule], data: dict[str, Any]) -> tuple[dict[str, Any], list]:
    faults: list = []
    kept = FieldReader(faults, signed=False, system=False).read_object(rules, data, ("data",))
    groups = EVENT_TYPES[name].any_of
    faults += [group for group in groups if not any(field in data for field in group)]
    return kept, faults


@pytest.mark.parametrize(("name", "level"), KINDS)
def test_what_is_taken_is_taken_alike(name, level):
    event_type, pick = EVENT_TYPES[name], random.Random(f"{name} {level}")
    rules = event_type.fields_on(level)
    quick = QuickReader(rules, any_of=event_type.any_of, sealed=event_type.sealed)
    taken = 0
    for _ in range(400):
        names = [field for field in (*rules, "nope") if pick.random() < 0.6]
        data = {field: pick.choice(VALUES) for field in pick.sample(names, len(names))}
        told, (kept, faults) = quick.read(data, ()), read(name, rules, data)
        if told is not None:
            taken += 1
            assert not faults
            assert list(told.items()) == list(kept.items())
            assert [type(value) for value in told.values()] == [type(v) for v in kept.values()]
    for field, rule in rules.items():
        for value in VALUES:
            told = quick.read({field: value}, ())
            if told is not None:
                assert (told, []) == read(name, rules, {field: value})
                assert rule.by == "sender"


def test_plain_events_are_taken():
    for name, data in (
        ("sale", {"platform": "示例平台（虚构）", "region": "440100"}),
        ("dispatch", {"carrier": "示例快递", "from": "441200", "to": "440100", "real_name": True}),
        ("signature", {"kind": "in_person"}),
        ("transit", {"status": "揽收"}),
    ):
        event_type = EVENT_TYPES[name]
        quick = QuickReader(
            event_type.fields_on("unit"), any_of=event_type.any_of, sealed=event_type.sealed
        )
        assert quick.read(data, event_type.sealed) == data
        assert quick.read(data, ("nope",)) is None


@pytest.mark.parametrize(
    "path", ["09521234543213", "09521234543213/10/L1", "09521234543213/21/8F3K2M9QZ7AB"]
)
def test_a_plain_stream_name_names_what_a_link_to_it_names(path):
    code = parse_code(f"01/{path}")
    assert code == parse_code(f"https://x.example/01/{path}")
    assert code == parse_code(f" 01/{path} ")
    assert isinstance(code, Code)
    assert code.stream == f"01/{path}"
