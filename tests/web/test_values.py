"""Values of records on pages: words where they are ours, places by name, else as they are."""

from __future__ import annotations

import pytest

from app.i18n import has
from app.trace.events import EVENT_TYPES
from app.web.pages.signed.values import in_words


@pytest.mark.parametrize(
    ("name", "value", "zh", "en"),
    [
        ("real_name", True, "是", "yes"),
        ("real_name", False, "否", "no"),
        ("from", "441200", "广东 肇庆 · 441200", "Zhaoqing, Guangdong · 441200"),
        ("region", "990000", "990000", "990000"),
        ("to", "somewhere", "somewhere", "somewhere"),
        ("to", "platform", "平台", "Platform"),
        ("to", "regulator", "监管部门", "Regulator"),
        ("outcome", "refused", "拒绝", "refused"),
        ("lot", "441200", "441200", "441200"),
        ("rating", 5, "5", "5"),
        ("proof", "carrier", "物流签收凭证", None),
        ("wish", "refund", "退款", None),
        ("documents", "agree", "订单、支付单、运单相符", None),
    ],
)
def test_a_value_is_told_as_people_read_it(name, value, zh, en):
    assert in_words("zh", name, value) == zh
    assert en in (None, in_words("en", name, value))


def test_every_field_of_a_record_has_a_name():
    names = {
        name
        for type_ in EVENT_TYPES.values()
        for level in type_.levels
        for name in type_.fields_on(level)
    }
    assert not {name for name in names if not has(f"chain.data.{name}")}
