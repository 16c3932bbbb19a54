from __future__ import annotations

import pytest
from PIL import Image

from tests.browser.pictures import HEAVIEST_BYTES, SCALE, SHOWN, WIDTH
from tests.drills.processes import ROOT


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_picture_of_the_readme_is_sharp_and_light(lang):
    path = ROOT / "docs" / f"scan-{lang}.png"
    assert path.stat().st_size < HEAVIEST_BYTES
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width >= WIDTH * SCALE * len(SHOWN)
