"""The A4 sheet, read as people and phones read it: rendered, decoded, and its text copied out."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import count
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image

from app.kit.errors import Invalid, Unavailable
from app.labels.fonts import find_font
from app.labels.layouts import LAYOUTS
from app.labels.placing import SheetLabel
from app.labels.sheet import write_sheet
from tests.labels.reading import (
    blurred,
    noisy,
    pages,
    rotated,
    zbar_texts,
    zxing_kinds,
    zxing_texts,
)
from tests.labels.sheets import GTIN, NAME, cell, label, labels, printed, uri
from tests.sentences import explain

ROOT = Path(__file__).resolve().parents[2]
POINTS_PER_MM = 72 / 25.4


# ---------------------------------------------------------------- pages


@pytest.mark.parametrize(("many", "sheets"), [(1, 1), (23, 1), (24, 1), (25, 2), (48, 2), (49, 3)])
def test_a_page_takes_24_labels(many, sheets):
    pdf, report = printed(labels(many))
    assert (report.labels, report.pages) == (many, sheets)
    seen = [text for page in pages(pdf, dpi=200) for text in zxing_texts(page)]
    assert sorted(seen) == [uri(f"S{number:05d}") for number in range(many)]


def test_no_labels_are_refused_and_nothing_is_written():
    out = BytesIO()
    with pytest.raises(Invalid) as refused:
        write_sheet([], out, symbol="qr", font_path=find_font())
    assert refused.value.key == "no_labels"
    assert explain(refused.value)
    assert out.getvalue() == b""


def test_a_bad_label_among_good_ones_leaves_nothing_written():
    out = BytesIO()
    bad = SheetLabel("https://t.cn/批", NAME, ())
    with pytest.raises(Invalid) as refused:
        write_sheet([*labels(30), bad], out, symbol="qr", font_path=find_font())
    assert refused.value.key == "symbol_charset"
    assert out.getvalue() == b""


def test_a_font_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Unavailable):
        printed(labels(1), font_path=tmp_path / "none.ttf")


def test_pages_are_a4_and_cells_are_70_by_37_125_mm():
    pdf, _ = printed(labels(24))
    document = pypdfium2.PdfDocument(pdf)
    width, height = document[0].get_size()
    document.close()
    assert (width / POINTS_PER_MM, height / POINTS_PER_MM) == pytest.approx((210, 297), abs=0.01)
    page = pages(pdf, dpi=200)[0]
    for place in range(24):
        assert zxing_texts(cell(page, place)) == [uri(f"S{place:05d}")], "row by row, left to right"


def test_the_edge_where_printers_cannot_print_stays_white():
    full = [
        label(n, name="长" * 60, serial="W" * 20, lot="W" * 20, inner="W" * 16) for n in range(24)
    ]
    page = pages(printed(full)[0], dpi=200)[0]
    margin = int(4.3 / 25.4 * 200)  # 4.5 mm less a pixel's rounding and half a line's width
    for place in range(24):
        one = cell(page, place)
        inside = Image.new("L", one.size, 255)
        core = (margin, margin, one.width - margin, one.height - margin)
        inside.paste(one.crop(core), core)
        assert inside.tobytes() == one.tobytes(), f"ink in the margin of label {place}"


def test_progress_is_told_after_each_page():
    told = []
    printed(labels(50), progress=told.append)
    assert told == [24, 48, 50]


def test_labels_are_taken_as_they_are_printed():
    taken = count()
    told = []

    def stop(done: int) -> None:
        told.append((done, next(taken)))
        raise KeyboardInterrupt

    out = BytesIO()
    endless = (label(next(taken) % 100) for _ in iter(int, 1))
    with pytest.raises(KeyboardInterrupt):
        write_sheet(endless, out, symbol="qr", font_path=find_font(), progress=stop)
    assert told == [(24, 24)]
    assert out.getvalue() == b""


def test_the_same_labels_give_the_same_bytes():
    assert printed(labels(30))[0] == printed(labels(30))[0]


def test_sheets_made_at_once_do_not_mix_their_fonts():
    names = ["粉葛礼盒", "贡柑九斤装", "裹蒸粽十只", "端砚一方"]

    def sheet(name: str) -> bytes:
        return printed(label(n, name=f"{name}{n}") for n in range(60))[0]

    alone = [sheet(name) for name in names]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(sheet, names)) == alone


# ---------------------------------------------------------------- symbols


@pytest.mark.parametrize("dpi", [200, 300])
def test_every_qr_of_a_full_page_reads_in_two_decoders(dpi):
    page = pages(printed(labels(24))[0], dpi=dpi)[0]
    wanted = [uri(f"S{number:05d}") for number in range(24)]
    assert sorted(zxing_texts(page)) == wanted
    assert sorted(text for place in range(24) for text in zbar_texts(cell(page, place))) == wanted


@pytest.mark.parametrize("dpi", [200, 300])
@pytest.mark.parametrize("degrees", [0, 7, 45, 90])
@pytest.mark.parametrize("wear", ["clean", "blurred", "noisy"])
def test_a_printed_label_reads_after_a_hand(dpi, degrees, wear):
    module_px = 0.762 / 25.4 * dpi
    wears = {"clean": lambda i: i, "blurred": lambda i: blurred(i, 0.3 * module_px), "noisy": noisy}
    qr = cell(pages(printed(labels(1))[0], dpi=dpi)[0], 0)
    image = wears[wear](rotated(qr, degrees))
    assert zxing_texts(image) == [uri("S00000")]
    # zbar gives up at 45 degrees on edges sharper than any camera's.
    assert zbar_texts(image if degrees != 45 else blurred(image, 1)) == [uri("S00000")]

    elements = SheetLabel(f"(01){GTIN}(10)L1(21)8F3K2M9QZ7AB", NAME, ())
    matrix = cell(pages(printed([elements], symbol="datamatrix")[0], dpi=dpi)[0], 0)
    image = wears[wear](rotated(matrix, degrees))
    assert zxing_texts(image) == [f"01{GTIN}10L1\x1d218F3K2M9QZ7AB"]
    assert zxing_kinds(image) == ["]d2"]


def test_a_datamatrix_sheet_holds_lot_and_serial_with_their_separator():
    given = [SheetLabel(f"[01]{GTIN}[10]L1[21]S{n:05d}", NAME, ()) for n in range(24)]
    pdf, report = printed(given, symbol="datamatrix")
    page = pages(pdf, dpi=300)[0]
    seen = [zxing_texts(cell(page, place)) for place in range(24)]
    assert seen == [[f"01{GTIN}10L1\x1d21S{n:05d}"] for n in range(24)]
    assert report.module_mm > 0.8


@pytest.mark.parametrize(
    ("length", "module_mm"),
    [(40, 0.762), (62, 0.762), (120, 0.5), (251, 0.42), (362, 0.33), (666, 0.25)],
)
def test_modules_are_as_large_as_the_uri_allows(length, module_mm):
    content = "https://t.cn/" + "a" * (length - 13)
    pdf, report = printed([SheetLabel(content, NAME, ())])
    assert module_mm <= report.module_mm <= 0.763
    dots = report.module_mm / 25.4 * 300
    assert dots == pytest.approx(round(dots)), "a module is whole dots of a printer"
    assert zxing_texts(pages(pdf, dpi=600)[0]) == [content]


def test_a_uri_that_phones_could_not_read_at_this_size_is_refused():
    out = BytesIO()
    with pytest.raises(Invalid) as refused:
        write_sheet(
            [SheetLabel("https://t.cn/" + "a" * 800, NAME, ())],
            out,
            symbol="qr",
            font_path=find_font(),
        )
    assert refused.value.key == "symbol_too_dense"
    assert "0.25" in explain(refused.value)[0]


def test_the_quiet_zone_reaches_to_the_text():
    # Four modules right of the symbol's last dark column nothing may stand, nor left of it.
    one = cell(pages(printed([label(name="粉" * 30)])[0], dpi=300)[0], 0)
    module = 9
    dark = [
        x
        for x in range(one.width // 2)
        if one.crop((x, 0, x + 1, one.height)).getextrema()[0] < 128
    ]
    last = max(x for x in dark if x < 31.1 / 25.4 * 300)
    first = min(x for x in dark)
    assert first >= 4 * module
    assert not [x for x in dark if last < x <= last + 4 * module]


# ---------------------------------------------------------------- size


@pytest.mark.slow
def test_ten_thousand_labels_stay_small():
    program = (
        "import resource, sys\n"
        "from tests.labels.sheets import labels, printed\n"
        "printed(labels(24))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "pdf, report = printed(labels(10_000))\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(len(pdf), report.pages, after - before)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    size, sheets, grown_kib = map(int, said.stdout.split())
    assert sheets == -(-10_000 // LAYOUTS["a4-3x8"].places)
    assert size < 6_000_000
    # Measured: 10 MiB; 50 with pages kept as text until the end.
    assert grown_kib < 30 * 1024
