"""Fonts: found, refused with a way out, and never blank."""

from __future__ import annotations

import shutil
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ImageFont

from app.kit.errors import Unavailable
from app.labels.fonts import find_font, load_typeface
from tests.sentences import explain

MICRO_HEI = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
NOWHERE = Path("/nowhere")


@pytest.fixture(scope="module")
def face():
    return load_typeface(find_font())


def test_a_named_font_is_taken_and_never_passed_over(tmp_path):
    named = tmp_path / "named.ttf"
    named.touch()
    assert find_font(named) == named
    with pytest.raises(Unavailable) as refused:
        find_font(tmp_path / "none.ttf")
    assert refused.value.params["looked"] == str(tmp_path / "none.ttf")


def test_the_projects_own_font_comes_before_the_systems(tmp_path):
    fonts = tmp_path / ".cache" / "fonts"
    fonts.mkdir(parents=True)
    (fonts / "notes.txt").touch()
    (fonts / "b.ttf").touch()
    (fonts / "a.ttf").touch()
    assert find_font(root=tmp_path) == fonts / "a.ttf"


def test_a_missing_font_is_refused_with_the_way_to_get_one(monkeypatch):
    monkeypatch.setattr("app.labels.fonts._SYSTEM_FONTS", (NOWHERE / "wqy-microhei.ttc",))
    with pytest.raises(Unavailable) as refused:
        find_font(root=NOWHERE)
    for sentence in explain(refused.value):
        assert "apt-get install fonts-wqy-microhei" in sentence
        assert "SUXIN_FONT" in sentence
        assert str(NOWHERE) in sentence


def test_a_font_that_went_away_is_refused(tmp_path):
    with pytest.raises(Unavailable) as refused:
        load_typeface(tmp_path / "gone.ttf")
    assert refused.value.key == "font_missing"


def test_a_file_that_is_no_font_is_refused(tmp_path):
    for name, content in (("empty.ttf", b""), ("text.ttf", b"not a font" * 99), ("cut.ttf", None)):
        path = tmp_path / name
        path.write_bytes(find_font().read_bytes()[:5000] if content is None else content)
        with pytest.raises(Unavailable) as refused:
            load_typeface(path)
        assert refused.value.key == "font_unusable"
        assert all(str(path) in sentence for sentence in explain(refused.value))


@pytest.mark.parametrize(
    "path",
    [
        "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",  # no Chinese
        "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",  # CFF outlines
    ],
)
def test_a_font_without_chinese_or_without_glyf_is_refused(path):
    if not Path(path).exists():
        pytest.skip(f"{path} is not on this machine")
    with pytest.raises(Unavailable) as refused:
        load_typeface(Path(path))
    assert refused.value.key == "font_unusable"


def test_a_font_is_read_once_and_again_when_it_changed(tmp_path):
    path = shutil.copy(find_font(), tmp_path / f"font{find_font().suffix}")
    first = load_typeface(path)
    assert load_typeface(path) is first
    path.touch()
    assert load_typeface(path) is not first


def test_every_code_character_shows(face):
    codes = string.ascii_letters + string.digits + "!\"%&'()*+,-./_:;<=>?"
    assert face.printable(codes).text == codes
    assert not face.printable(codes).replaced


def test_what_is_said_to_show_has_ink_in_a_second_opinion(face):
    # FreeType, which does not share a line with reportlab, draws each one.
    drawn = ImageFont.truetype(str(face.path), 24, index=face.subfont)
    known = sorted(set(face.font.face.charToGlyph) - {0x20, 0xA0})
    sample = [chr(code) for code in known if face.shows(chr(code))][::7]
    assert len(sample) > 3000
    blank = [char for char in sample if drawn.getmask(char).getbbox() is None]
    assert not blank


@pytest.mark.parametrize("char", ["\U0002a6d6", "😀", "\ue000", "\ud800", "\uffff", "ก"])
def test_a_missing_character_is_replaced_visibly_and_reported(face, char):
    printable = face.printable(f"粉{char}葛")
    assert printable.text == f"粉{face.replacement}葛"
    assert printable.replaced == {char}
    assert face.shows(face.replacement)


def test_a_character_that_the_font_maps_to_nothing_counts_as_missing():
    if not MICRO_HEI.exists():
        pytest.skip(f"{MICRO_HEI} is not on this machine: it is the font with blank letters")
    face = load_typeface(MICRO_HEI)
    assert ord("ǎ") in face.font.face.charToGlyph
    assert not face.shows("ǎ")
    assert face.printable("mǎ").text == f"m{face.replacement}"
    # These have an equal in plain letters, so that nothing is lost.
    assert face.printable("2-8℃ Ⅹ").text == "2-8°C X"
    assert not face.printable("2-8℃ Ⅹ").replaced


def test_spaces_become_one_and_invisible_marks_go(face):
    odd = "\u3000粉\u00a0\t葛\n\u200b\ufeff礼\ufe0f盒\u202e\u2028装\x00 "
    assert face.printable(odd).text == "粉 葛 礼盒 装"
    assert not face.printable(odd).replaced


def test_a_composed_letter_is_composed_first(face):
    assert face.printable("e\u0301").text == "é"


@given(text=st.text(max_size=40))
def test_whatever_comes_in_all_that_comes_out_shows(face, text):
    printable = face.printable(text)
    assert all(map(face.shows, printable.text))
    assert face.printable(printable.text).text == printable.text


@given(
    text=st.text("粉葛礼盒装，。（）a bcW0…-", max_size=60),
    width=st.integers(20, 120),
    lines=st.integers(1, 3),
)
def test_wrapped_lines_fit_and_only_an_ellipsis_leaves_text_out(face, text, width, lines):
    text = face.printable(text).text
    wrapped = face.wrap(text, size=8.5, width=width, lines=lines)
    assert len(wrapped) <= lines
    assert all(face.width(line, 8.5) <= width for line in wrapped)
    assert all(line == line.strip() and line for line in wrapped)
    said = "".join(wrapped).replace(" ", "")
    if said != text.replace(" ", ""):
        assert wrapped[-1].endswith("…")
        assert text.replace(" ", "").startswith(said.removesuffix("…"))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []),
        ("粉葛", ["粉葛"]),
        ("一二三四五六七八", ["一二三四五", "六七八"]),
        ("一二三四五六七八九十百千", ["一二三四五", "六七八九…"]),
        ("一二三四五，六七", ["一二三四", "五，六七"]),
        ("Green tea powder", ["Green tea", "powder"]),
        ("一二三 500g装", ["一二三", "500g装"]),
    ],
)
def test_lines_break_where_people_expect(face, text, lines):
    # Five Chinese letters a line: each is as wide as its size.
    assert face.wrap(text, size=10, width=52, lines=2) == lines
