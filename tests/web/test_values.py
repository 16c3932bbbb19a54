"""Values of records on pages: words where they are ours, places by name, else as they are."""

from __future__ import annotations

import pytest

from app.web.pages.signed.values import in_words


@pytest.mark.parametrize(
    ("name", "value", "zh", "en"),
    [
        ("real_name", True, "是", "yes"),
        ("real_name", False, "否", "no"),
        ("from", "441200", "广东 肇庆 · 441200", "Zhaoqing, Guangdong · 441200"),
        ("region", "990000", "990000", "990000"),
        ("to", "somewhere", "somewhere", "somewhere"),
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
