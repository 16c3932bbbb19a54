"""What a document is by its bytes, and what it may be called."""

from __future__ import annotations

import pytest

from app.credit.document_kinds import MOST_IN_NAME, clean_name, kind_of, plain_name
from app.credit.document_uses import digests_of, told_uses
from tests.credit.files import JPEG, PDF, PNG, WEBP

PDFS = "application/pdf"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (PDF, PDFS), (JPEG, "image/jpeg"), (PNG, "image/png"), (WEBP, "image/webp"),
        (b"", None), (b"%PDF", None), (b"<html>%PDF-1.7", None), (b" %PDF-1.7", None),
        (b"GIF89a", None), (b"PK\x03\x04", None), (b"MZ", None), (b"RIFF\x00\x00\x00\x00WAVE", None),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", None),
    ],
)  # fmt: skip
def test_the_first_bytes_tell_the_kind(raw, kind):
    assert kind_of(raw) == kind


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("揽收凭证.pdf", "揽收凭证.pdf"), ("a.PDF", "a.pdf"), ("scan.png", "scan.png.pdf"),
        ("C:\\docs\\x.pdf", "x.pdf"), ("../../etc/passwd", "passwd.pdf"), ("", "document.pdf"),
        (".pdf", "pdf.pdf"), ("..", "document.pdf"), ("a\r\nX: y.pdf", "a X: y.pdf"),
        ("a\u202efdp.exe", "afdp.exe.pdf"), ("a\u200b\u0000b.pdf", "ab.pdf"),
        ("e\u0301.pdf", "\u00e9.pdf"), ("a  b . pdf", "a b . pdf.pdf"),
    ],
)  # fmt: skip
def test_a_name_is_made_fit_to_be_shown(given, name):
    assert clean_name(given, PDFS) == name


def test_a_long_name_keeps_its_beginning_and_its_ending():
    name = clean_name("证" * 300 + ".pdf", PDFS)
    assert len(name) == MOST_IN_NAME
    assert name.endswith("证.pdf")
    assert len(plain_name("x" * 300)) == MOST_IN_NAME
    assert plain_name("x" * 300 + ".html").endswith("x.html")


def test_a_kind_that_somebody_wrote_into_the_row_is_no_error():
    assert clean_name("a.pdf", "text/html") == "a.pdf"


def test_documents_are_named_by_steps_and_by_evidence_each_once():
    one, two = "a" * 64, "b" * 64
    assert digests_of({"attachments": [one, two, one]}) == (one, two)
    assert digests_of({"evidence": {"title": "x", "attachments": [two]}}) == (two,)
    assert digests_of({"evidence": {"text_digest": one}}) == ()
    record = {"type": "credit_status", "actor": "P", "seq": 4,
              "data": {"entry": "e", "attachments": [one]}}  # fmt: skip
    other = {**record, "type": "notice"}
    by_us = {**record, "actor": "system", "seq": 5}
    assert told_uses("P", [record, other, by_us]) == {
        ("P", one, "P", 4): {"party": "P", "digest": one, "about": "P", "seq": 4, "matter": "e"}
    }
