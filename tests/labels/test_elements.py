"""Element strings: which bracket names an element and which is part of a lot."""

from __future__ import annotations

import pytest

from app.kit.errors import Invalid
from app.labels.elements import square_brackets


@pytest.mark.parametrize(
    ("given", "square"),
    [
        ("(01)06901234567892", "[01]06901234567892"),
        ("(01)06901234567892(10)L1(21)8F3K", "[01]06901234567892[10]L1[21]8F3K"),
        ("[01]06901234567892[10]L1[21]8F3K", "[01]06901234567892[10]L1[21]8F3K"),
        ("(01)06901234567892(8200)http://t.cn", "[01]06901234567892[8200]http://t.cn"),
        ("(01)06901234567892(10)A(B)C", "[01]06901234567892[10]A(B)C"),
        ("(01)06901234567892(10)A(1)C", "[01]06901234567892[10]A(1)C"),
        ("(01)06901234567892(21)A\\(10\\)B", "[01]06901234567892[21]A(10)B"),
        ("(01)06901234567892(21)A\\(10)B", "[01]06901234567892[21]A(10)B"),
        ("[01]06901234567892[21]A(10)B", "[01]06901234567892[21]A(10)B"),
    ],
)
def test_both_written_forms_become_square(given, square):
    assert square_brackets(given) == square


@pytest.mark.parametrize(
    "given",
    [
        "",
        "06901234567892",
        "https://t.cn/01/06901234567892",
        "(01)",
        "(01)06901234567892(21)",
        "(1)06901234567892",
        "[01]06901234567892[21]A\\",
        "[01]06901234567892[21]A B",
        "[01]06901234567892[21]A#B",
        "(01)06901234567892(10)批次",
        "[01]06901234567892[21]A[B",
        "[01]06901234567892(21)[A]",
        "(٠١)06901234567892",
        "(01)06901234567892(10)A(21)B(21)C",  # a lot "A(21)B" that nobody escaped
    ],
)
def test_a_text_with_two_readings_or_none_is_refused(given):
    with pytest.raises(Invalid) as refused:
        square_brackets(given)
    assert refused.value.key == "symbol_elements"
