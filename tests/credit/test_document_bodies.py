"""Documents that are not what their first bytes say, and how little it costs to find out."""

from __future__ import annotations

import io
import tracemalloc
import zlib
from unittest import mock

import pypdfium2
import pytest
from PIL import Image

from app.credit.document_bodies import fault_of_body
from app.credit.document_kinds import kind_of
from app.kit import pictures
from app.kit.pictures import (
    MAX_JPEG_PIXELS,
    MAX_PIXELS,
    MAX_PNG_PIXELS,
    PictureUnfit,
    opened_picture,
)
from tests.credit.files import JPEG, PDF, PNG, PNG_HEAD, WEBP, pdf, png_chunk, png_of

NOISE = bytes(range(256)) * 20
JPEG_HEAD = b"\xff\xd8\xff\xe0"
WEBP_HEAD = b"RIFF\x00\x14\x00\x00WEBP"


def picture(kind: str, size: tuple[int, int] = (300, 200), mode: str = "RGB", **more) -> bytes:
    file = io.BytesIO()
    Image.effect_noise(size, 80).convert(mode).save(file, kind, **more)
    return file.getvalue()


def fault(raw: bytes) -> str | None:
    kind = kind_of(raw)
    assert kind is not None
    found = fault_of_body(raw, kind)
    return None if found is None else found[0]


@pytest.mark.parametrize(
    "raw",
    [
        PNG, JPEG, WEBP, PDF, pdf("behind the end"), PNG + bytes(100), PDF + bytes(900),
        PDF.replace(b"\n", b"\r\n"),
    ],
)  # fmt: skip
def test_what_opens_is_taken(raw):
    assert fault(raw) is None


@pytest.mark.parametrize(
    ("kind", "modes"),
    [("JPEG", "1 L RGB CMYK"), ("PNG", "1 L LA P RGB RGBA I;16"), ("WEBP", "L P RGB RGBA")],
)
def test_pictures_of_every_mode_are_taken(kind, modes):
    for mode in modes.split():
        assert fault(picture(kind, mode=mode)) is None


def test_a_progressive_photo_and_one_with_a_preview_in_it_are_taken():
    assert fault(picture("JPEG", progressive=True)) is None
    file = io.BytesIO()
    frames = [Image.effect_noise((90, 60), 50) for _ in range(2)]
    frames[0].save(file, "MPO", save_all=True, append_images=frames[1:])
    assert fault(file.getvalue()) is None


def test_the_pdfs_here_open_in_a_reader():
    for raw in (PDF, pdf("x")):
        assert len(pypdfium2.PdfDocument(raw)) == 1


@pytest.mark.parametrize("head", [PNG_HEAD, JPEG_HEAD, WEBP_HEAD, b"%PDF-1.7\n"])
@pytest.mark.parametrize("body", [b"", NOISE, b"<script>alert(1)</script>"])
def test_rubbish_behind_a_right_beginning_is_refused(head, body):
    assert fault(head + body) == "file_damaged"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_of_which_a_part_is_missing_is_refused(kind):
    whole = picture(kind)
    for share in (0.1, 0.5, 0.9):
        assert fault(whole[: int(len(whole) * share)]) == "file_damaged"


def test_a_picture_whose_checksums_are_right_and_whose_body_is_rubbish_is_refused():
    assert fault(png_of(8, zlib.compress(bytes(9 * 8)))) is None
    assert fault(png_of(8, NOISE)) == "file_damaged"


@pytest.mark.parametrize(
    "raw",
    [
        PDF[:-10], PDF[: len(PDF) // 2], PDF + bytes(2_000), b"%PDF-x.y\n" + PDF[9:],
        PDF.replace(b"startxref\n160\n", b""), PDF.replace(b"160", b"far"),
    ],
)  # fmt: skip
def test_a_pdf_without_its_beginning_or_end_is_refused(raw):
    assert fault(raw) == "file_damaged"


@pytest.mark.parametrize(
    ("kind", "side"), [("PNG", 7_100), ("PNG", 14_000), ("WEBP", 4_500), ("JPEG", 8_000)]
)
def test_a_bomb_is_refused_by_its_header_and_its_bound_is_told(kind, side):
    if kind == "PNG":
        raw, most = png_of(side, zlib.compress(b"")), MAX_PNG_PIXELS
    else:
        file = io.BytesIO()
        Image.new("L", (side, side)).save(file, kind)
        raw, most = file.getvalue(), MAX_JPEG_PIXELS if kind == "JPEG" else MAX_PIXELS
    assert side * side > most
    fault_of_body(raw, kind_of(raw) or "")  # what Pillow loads for a kind it loads once
    tracemalloc.start()
    try:
        found = fault_of_body(raw, kind_of(raw) or "")
        _, used = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == ("file_pixels", most // 1_000_000)
    assert used < 2_000_000


def test_a_page_scanned_at_600_dpi_is_taken_and_a_camera_is_not_shown_one():
    file = io.BytesIO()
    Image.new("1", (4_960, 7_016)).save(file, "PNG")
    assert fault(file.getvalue()) is None
    with pytest.raises(PictureUnfit) as unfit, opened_picture(file.getvalue()):
        pass
    assert unfit.value.millions == 20


def test_a_jpeg_of_more_scans_than_any_camera_makes_is_refused_before_it_is_decoded():
    """Each scan of a progressive picture goes over all its pixels, and an empty one is of 90 bytes."""
    whole = picture("JPEG", (800, 600), progressive=True)
    last = whole.rindex(b"\xff\xda")
    body, scan = whole[:-2], whole[last:-2]
    assert fault(body + scan * 40 + b"\xff\xd9") is None
    with mock.patch.object(pictures, "BytesIO", side_effect=AssertionError("it was decoded")):
        assert fault(body + scan * 100 + b"\xff\xd9") == "file_damaged"
    # What only looks like scans: in a preview, in restarts, behind the end as a film of a phone.
    hidden = b"\xff\xe1\x01\x02" + b"\xff\xda" * 128
    assert fault(whole[:2] + hidden + whole[2:] + b"\xff\xda" * 500) is None
    assert fault(picture("JPEG", (800, 600), restart_marker_blocks=1)) is None


def test_words_in_a_picture_that_unpack_to_80_mb_are_refused():
    text = b"Comment\x00\x00" + zlib.compress(bytes(80 * 2**20), 9)
    head = (8).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    raw = (
        PNG_HEAD + png_chunk(b"IHDR", head) + png_chunk(b"zTXt", text)
        + png_chunk(b"IDAT", zlib.compress(bytes(9 * 8))) + png_chunk(b"IEND", b"")
    )  # fmt: skip
    tracemalloc.start()
    try:
        assert fault(raw) == "file_damaged"
        _, used = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 4_000_000
