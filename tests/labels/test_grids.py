"""What goes into a symbol comes out of it, whichever encoder made it and decoder reads it."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.kit.errors import Invalid
from app.labels.grids import DARK, Grid, bulk_qr_grid, datamatrix_grid, ean13_grid, grid, qr_grid
from tests.labels.reading import zbar_texts, zxing_kinds, zxing_texts
from tests.sentences import explain

GTIN = "06901234567892"
URI = "https://trace.example.cn/01/06901234567892/21/8F3K2M9QZ7AB"
# CSET 82, GS1 General Specifications figure 7.11-1: all but the letters and digits.
PUNCTUATION = "!\"%&'()*+,-./_:;<=>?"
CSET_82 = string.ascii_letters + string.digits + PUNCTUATION


def picture(symbol: Grid, module_px: int = 6) -> Image.Image:
    image = Image.new("L", (symbol.width + 2 * symbol.quiet_x, symbol.height + 8), 255)
    for x, y, n in symbol.dark_runs():
        image.paste(
            DARK, (symbol.quiet_x + x, 4 + y, symbol.quiet_x + x + n, 4 + y + symbol.row_height)
        )
    size = (image.width * module_px, image.height * module_px)
    return image.resize(size, Image.Resampling.NEAREST)


@pytest.mark.parametrize("encode", [qr_grid, bulk_qr_grid])
def test_a_qr_symbol_reads_as_its_uri_in_two_decoders(encode):
    made = picture(encode(URI))
    assert zxing_texts(made) == [URI]
    assert zbar_texts(made) == [URI]


@pytest.mark.parametrize("encode", [qr_grid, bulk_qr_grid])
@settings(max_examples=25)
@given(path=st.text(CSET_82 + "~%", min_size=1, max_size=180))
def test_any_uri_reads_back(encode, path):
    made = picture(encode("https://t.cn/" + path), module_px=4)
    assert zxing_texts(made) == ["https://t.cn/" + path]


@pytest.mark.parametrize("encode", [qr_grid, bulk_qr_grid])
@pytest.mark.parametrize("length", range(20, 300, 20))
def test_a_qr_symbol_has_correction_level_m(encode, length):
    # The first two modules of row 8 are the level, masked with 10 (ISO/IEC 18004 7.9): M is 00.
    row = encode("https://t.cn/" + "a" * length).rows[8]
    assert [row[0] == DARK, row[1] == DARK] == [True, False]


@pytest.mark.parametrize("encode", [qr_grid, bulk_qr_grid])
def test_a_torn_corner_does_not_hurt_a_qr_symbol(encode):
    made = picture(encode(URI), module_px=8)
    made.paste(255, (made.width - 90, made.height - 90, made.width, made.height))
    assert zxing_texts(made) == [URI]


def test_the_longest_uri_of_the_contract_fits():
    uri = "https://t.cn/" + "a" * (2048 - 13)
    assert zxing_texts(picture(qr_grid(uri), module_px=3)) == [uri]
    assert zxing_texts(picture(bulk_qr_grid(uri), module_px=3)) == [uri]


@pytest.mark.parametrize("encode", [qr_grid, bulk_qr_grid])
def test_a_uri_too_long_for_any_symbol_is_refused(encode):
    with pytest.raises(Invalid) as refused:
        encode("https://t.cn/" + "a" * 2400)
    assert refused.value.key == "symbol_size"
    assert "2413" in explain(refused.value)[0]


@pytest.mark.parametrize("encode", [qr_grid, bulk_qr_grid, datamatrix_grid])
@pytest.mark.parametrize("content", ["", "https://t.cn/批", "https://t.cn/\n", "a\x00", "\ud800"])
def test_content_that_readers_would_guess_at_is_refused(encode, content):
    with pytest.raises(Invalid) as refused:
        encode(content)
    assert refused.value.key == "symbol_charset"
    for sentence in explain(refused.value):
        sentence.encode()  # a lone surrogate must not get out this way either


@pytest.mark.parametrize(
    ("written", "scanned"),
    [
        ("(01)06901234567892(21)8F3K2M9QZ7AB", "0106901234567892218F3K2M9QZ7AB"),
        ("[01]06901234567892[21]8F3K2M9QZ7AB", "0106901234567892218F3K2M9QZ7AB"),
        ("(01)06901234567892(10)L1(21)8F3K", "010690123456789210L1\x1d218F3K"),
        ("(01)06901234567892(10)L1", "010690123456789210L1"),
        (f"[01]06901234567892[21]{PUNCTUATION}", f"010690123456789221{PUNCTUATION}"),
        (
            f"[01]06901234567892[10]{PUNCTUATION}[21]{PUNCTUATION}",
            f"010690123456789210{PUNCTUATION}\x1d21{PUNCTUATION}",
        ),
        ("(01)06901234567892(21)A\\(10)B", "010690123456789221A(10)B"),
    ],
)
def test_a_datamatrix_symbol_reads_as_gs1_with_separators(written, scanned):
    made = picture(datamatrix_grid(written))
    assert zxing_kinds(made) == ["]d2"], "FNC1 must stand first: ]d1 would be plain text"
    assert zxing_texts(made) == [scanned]


@settings(max_examples=40)
@given(
    lot=st.text(CSET_82, min_size=1, max_size=20), serial=st.text(CSET_82, min_size=1, max_size=20)
)
def test_any_lot_and_serial_read_back(lot, serial):
    made = picture(datamatrix_grid(f"[01]06901234567892[10]{lot}[21]{serial}"), module_px=4)
    assert zxing_texts(made) == [f"010690123456789210{lot}\x1d21{serial}"]


def test_a_datamatrix_symbol_is_square():
    made = datamatrix_grid("(01)06901234567892(10)L1(21)8F3K2M9QZ7AB")
    assert made.width == made.height


@pytest.mark.parametrize("value", ["123456789012345678901", "A B", "A#B", "A\\B"])
def test_a_serial_that_gs1_does_not_allow_is_refused(value):
    with pytest.raises(Invalid) as refused:
        datamatrix_grid(f"[01]06901234567892[21]{value}")
    assert refused.value.key == "symbol_elements"
    assert explain(refused.value)


@pytest.mark.parametrize(
    "gtin", ["6901234567892", "06901234567892", "0012345678905", "00012345678905"]
)
def test_an_ean13_symbol_holds_the_gtin_in_two_decoders(gtin):
    made = picture(ean13_grid(gtin))
    assert zxing_texts(made) == [gtin[-13:]]
    assert zxing_kinds(made) == ["]E0"]
    assert zbar_texts(made) == [gtin[-13:]]


@pytest.mark.parametrize(
    "gtin",
    [
        "16901234567899",  # a case
        "00000012345670",  # a GTIN-8, which has EAN-8
        "0000012345670",
        "6901234567893",  # check digit
        "690123456789",
        "69012345678921",
        "６９０１２３４５６７８９２",
        "690123456789X",
        "6901234567892\n",
        "",
    ],
)
def test_what_ean13_cannot_say_is_refused(gtin):
    with pytest.raises(Invalid) as refused:
        ean13_grid(gtin)
    assert [(error.loc, error.kind) for error in refused.value.errors] == [(("symbol",), "ean13")]
    assert explain(refused.value)


@pytest.mark.parametrize("made", [qr_grid(URI), bulk_qr_grid(URI), datamatrix_grid(f"(01){GTIN}")])
def test_a_square_symbol_keeps_four_modules_of_quiet_zone(made):
    assert (made.quiet_x, made.quiet_y) == (4, 4)


def test_each_symbol_has_its_encoder():
    assert grid("qr", URI) == qr_grid(URI)
    assert grid("qr", URI, bulk=True) == bulk_qr_grid(URI)
    assert grid("datamatrix", "(01)06901234567892") == datamatrix_grid("(01)06901234567892")
    assert grid("ean13", "6901234567892") == ean13_grid("6901234567892")
