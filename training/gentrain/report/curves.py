"""The curves of a run as figures of a page: which numbers of log.jsonl are drawn together, and what they are called."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from gentrain.report import figures
from gentrain.report import html as page
from gentrain.report.record import Record

MOST_CHARTS = 24

NAMES = {
    "d_loss": "discriminator",
    "g_loss": "generator",
    "d_accuracy": "right",
    "r1": "R1 (real)",
    "r2": "R2 (generated)",
    "real_logit": "real",
    "fake_logit": "generated",
    "learning_rate": "learning rate",
    "images_per_second": "images/s",
    "frechet": "Fréchet distance",
    "kernel": "kernel distance",
    "l1": "L1 distance",
    "psnr": "PSNR in dB",
    "ssim": "SSIM",
    "g_l1": "L1 in the loss, of 2",
}
X_LABEL = "kimg (thousand images shown)"
LINEAR = ("Discriminator logits", "Speed")
SHARES = ("precision", "recall", "density", "coverage", "accuracy")

# What is drawn together: title, label of the y axis, which keys of log.jsonl. Any other key has a chart of its own.
CHARTS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("Fréchet distance", "distance", lambda key: key == "frechet"),
    ("Kernel distance", "distance", lambda key: key == "kernel"),
    ("Precision, recall, density, coverage", "share", lambda key: key in SHARES),
    ("Losses", "loss, mean of a tick", lambda key: key.endswith("_loss")),
    ("Discriminator logits", "logit, mean of a tick", lambda key: key.endswith("_logit")),
    ("Discriminator accuracy", "share of pairs", lambda key: key == "d_accuracy"),
    ("Gradient penalties", "squared gradient", lambda key: key in ("r1", "r2", "penalty", "gradient_penalty")),
    ("Learning rate", "learning rate", lambda key: key.endswith("learning_rate")),
    ("Speed", "images/s", lambda key: key == "images_per_second"),
)


def charts(record: Record) -> list[Markup]:
    """A figure of HTML for every group of `CHARTS` that the log has numbers of, then one for each other key."""
    keys = list(dict.fromkeys(key for line in record.log for key in line if key not in ("kimg", "seconds")))
    drawn = []
    for title, label, belongs in CHARTS:
        together = [key for key in keys if belongs(key)]
        keys = [key for key in keys if key not in together]
        if together:
            drawn.append(_chart(record, title, label, together))
    return drawn + [_chart(record, NAMES.get(key, key), key, [key]) for key in keys[: MOST_CHARTS - len(drawn)]]


def _chart(record: Record, title: str, label: str, keys: list[str]) -> Markup:
    lines = {_plain(NAMES.get(key, key)): record.curve(key) for key in keys}
    references = {
        _plain(NAMES.get(k, k)): s.reference
        for k, s in record.scores().items()
        if k in keys and s.reference is not None
    }
    light, dark = (
        figures.curves(lines, X_LABEL, _plain(label), theme, references, may_be_log=title not in LINEAR)
        for theme in (figures.LIGHT, figures.DARK)
    )
    last = ", ".join(f"{name} {y[-1]:.3g}" for name, (_, y) in lines.items())
    caption = ""
    if references:
        samples = f" with {record.metrics['samples']} samples" if "samples" in record.metrics else ""
        caption = f"Dashed: what real images score in gentrain evaluate{samples}; during training there may be fewer."
    return page.figure(page.themed(light, dark, f"{title} over kimg; at the end {last}"), title, caption)


def _plain(text: str) -> str:
    """Without what matplotlib would take for mathematics, and no longer than fits."""
    return text.replace("$", "").replace("\\", "")[:40] or "?"
