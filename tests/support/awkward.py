"""Texts as people, and nobody, would write them, for all that cuts texts into words: UTF-8, some of it damaged."""

from __future__ import annotations

WELL_FORMED = [
    *("a RED heart", "ｒｅｄ", "green, blue!", "CAFÉ cafe\u0301", "STRASSE ẞ straße", "İSTANBUL ıstanbul istanbul"),
    *("heart❤️red", "赤い心", "赤 い心", "re\u00add", "[PAD] [UNK]", "", " \t.\n", "unheard of", "\x00red", "ȓed"),
    *("👩\u200d🚀 ½ Ⅷ ﬁ \U000e0041", "r\u0336e\u0336d\u0336", "red\u00a0blue\u2003green", "red😀blue", "-red_blue-"),
    *(
        "red " * 10_000,
        "x" * 10_000 + " red",
        "\ufffdred\ufffd",
        "\U0010ffff red",
        "dark’s",
        "ⓡⓔⓓ",
        "ＢＬＵＥ\u3000ｓｔａｒ",
    ),
    '\\u0072ed "blue"',
]

DAMAGED = [
    *(b"\xff\xfered\xc3", b"re\xc3d", b"red\xe2\x82", b"\xf0\x9f\x98red", b"\xc0\x80red\xc1\xbfblue"),
    *(b"\xed\xa0\x80red", b"\xf4\x90\x80\x80 blue", b"\xf8\x88\x80\x80\x80red", b"green\x80\x80star"),
    b"\xe0\x80\xafred",
]

TEXTS = [*(text.encode() for text in WELL_FORMED), *DAMAGED]
