"""Names on contact sheets, in any script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gentrain.data import contact_sheet as contact
from gentrain.data import fonts
from gentrain.data.dataset import Dataset
from PIL import ImageFont


def boxes(font: ImageFont.FreeTypeFont, text: str) -> list[str]:
    """The characters that the font has no picture of."""
    missing = bytes(font.getmask("\uffff"))
    return [letter for letter in text if not letter.isspace() and bytes(font.getmask(letter)) == missing]


@pytest.mark.parametrize(
    "name", ["plain", "Ünïcode", "кошка", "Ελλάδα", "قطة", "東京", "日本語 cat", "한국어", "หมา", "😀 smile"]
)
def test_a_name_is_shown_in_its_script_or_in_latin_letters_and_never_as_boxes(name: str) -> None:
    font, text = fonts.fitting(name, 16)
    assert text.strip()
    assert not boxes(font, text)  # type: ignore[arg-type]
    assert text == name or text.isascii()


def test_latin_cyrillic_and_greek_are_always_shown_as_they_are() -> None:
    for name in ("plain", "Ünïcode", "кошка", "Ελλάδα"):
        assert fonts.fitting(name, 16)[1] == name


def test_a_script_that_no_font_has_is_written_in_latin_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # no fontconfig
    monkeypatch.setattr(fonts, "FOLDERS", ())
    fonts._files_with.cache_clear()
    assert fonts.fitting("東京", 16)[1] == "DongJing"
    assert fonts.fitting("кошка", 16)[1] == "кошка", "matplotlib brings a font for it"
    fonts._files_with.cache_clear()


@pytest.mark.parametrize(("classes", "note"), [(32, ""), (40, "the first 32 of 40 classes")])
def test_a_sheet_of_many_classes_says_that_it_is_cut(classes: int, note: str, tmp_path: Path) -> None:
    labels = np.arange(classes, dtype=np.int32)
    names = tuple(f"class {number}" for number in range(classes))
    data = Dataset("many", np.zeros((classes, 8, 8, 1), np.uint8), labels, names)
    assert contact.save_contact_sheet(data, tmp_path / "sheet.png") == note
