"""What bench/device.py found, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common import number, paragraph, table

TITLES = {"digits": "28×28", "rgb64": "64×64 RGB"}
FLOAT32, DYNAMIC, SAVED_MODEL = "TFLite float32", "TFLite dynamic", "SavedModel, TensorFlow"
TARGET_SPEED, TARGET_SIZE, TARGET_C_MS, TARGET_EXPORT_SECONDS = 4.0, 3.5, 50, 30


def report(found: Mapping[str, Mapping[str, Any]], growth: Sequence[Mapping[str, Any]], rounds: int, days: str) -> str:
    """Sections: the files of each generator; other devices; export."""
    sections = [_files(TITLES[name], one) for name, one in found.items()]
    sections += [_devices(found), _export(found, growth)]
    how = paragraph(
        f"""Measured {days}; rounds: {rounds}. In each every runtime, with one and with two threads and in a process of
        its own, makes 30 images one by one (the client's runner 256 at once); latencies are medians and 90th
        percentiles of all of them. Load: from the file to a runtime that is ready, without its import. Memory is the
        most that the whole process had, library included. PSNR and the rise of the Fréchet distance are the manifest's,
        against Keras, on 256 latents; those of ONNX Runtime's int8 on 16."""
    )
    return "\n\n".join([*sections[:-1], how, sections[-1]])


def _files(title: str, one: Mapping[str, Any]) -> str:
    head = [
        "",
        "MB",
        "load, ms",
        "1 thread, ms",
        "p90",
        "2 threads, ms",
        "p90",
        "peak memory, MB",
        "PSNR, dB",
        "Fréchet",
    ]
    rows = [_row(what, one) for what in one["runtimes"] if what != "genclient"]
    trained = "" if one["trained"] else " The network is untrained, so its quality says nothing."
    return f"""## Devices: the files of a {title} generator

`make bench-device`, or `python bench/device.py`.{trained}

{table(head, rows)}

{_targets(one)}"""


def _row(what: str, one: Mapping[str, Any]) -> list[str]:
    one_thread, two = (one["runtimes"][what][threads] for threads in "12")
    key = "savedmodel" if what.startswith("SavedModel") else what.replace("TFLite ", "tflite/")
    parity = one["parity"].get("onnx/float32" if what == "ONNX Runtime float32" else key, {})
    psnr = parity.get("psnr_db", one_thread["psnr_db"])
    rise = parity.get("frechet_rise")
    return [
        what,
        f"{one['megabytes'][what]:.2f}",
        number(one_thread["load_ms"]),
        *(number(cell[value]) for cell in (one_thread, two) for value in ("median_ms", "p90_ms")),
        f"{one_thread['peak_mb']:.0f}",
        "same" if psnr is None else f"{psnr:.1f}",
        "–" if rise is None else f"{rise:+.1%}",
    ]


def _targets(one: Mapping[str, Any]) -> str:
    speed = {what: cells["1"]["median_ms"] for what, cells in one["runtimes"].items() if what != "genclient"}
    faster = speed[FLOAT32] / speed[DYNAMIC]
    smaller = one["megabytes"][FLOAT32] / one["megabytes"][DYNAMIC]
    plain, weights = (speed[f"TensorFlow's converter, {kind}"] for kind in ("float32", "dynamic"))
    ours = min((what for what in speed if what.startswith("TFLite")), key=speed.__getitem__)
    lines = [
        f"- dynamic beside float32, one thread: {faster:.1f} times faster (wanted {TARGET_SPEED:g}), "
        f"{smaller:.2f} times smaller (wanted {TARGET_SIZE:g})",
        f"- beside TensorFlow's converter: its float32 takes {plain / speed[FLOAT32]:.1f} times as long as ours and "
        f"{plain / speed[DYNAMIC]:.1f} times as long as dynamic, its dynamic {weights / speed[DYNAMIC]:.1f} times",
        f"- the fastest file, {ours}: {speed[SAVED_MODEL] / speed[ours]:.1f} times as fast as the SavedModel",
    ]
    if theirs := [what for what in speed if what.startswith("ONNX")]:
        best = min(theirs, key=speed.__getitem__)
        lines.append(f"- and {speed[best] / speed[ours]:.1f} times as fast as ONNX Runtime's fastest, {best}")
    else:
        lines.append("- ONNX Runtime: the version has no ONNX file (`pip install '.[onnx]'`)")
    runner, alone = one["runtimes"]["genclient"], one["runtimes"][DYNAMIC]
    lines.append(
        f"- many images, dynamic: `genclient sample --threads 1` makes {_rate(runner['1'])} a second, `--threads 2` "
        f"{_rate(runner['2'])}; one interpreter of two threads {_rate(alone['2'])}"
    )
    return "\n".join(lines)


def _rate(cell: Mapping[str, Any]) -> str:
    return f"{1000 / cell['median_ms']:,.0f}"


def _devices(found: Mapping[str, Mapping[str, Any]]) -> str:
    rows, missing = [], []
    for name, one in found.items():
        native = one["runtimes"][DYNAMIC]["1"]["median_ms"]
        rows.append([f"{TITLES[name]}: native, one thread", number(native), "1"])
        browser, program = one["browser"], one["c"]
        if "missing" in browser:
            missing.append(f"Browser, {TITLES[name]}: {browser['missing']}.")
        else:
            for key, what in (("model_ms", "the model alone"), ("image_ms", "from a seed to pixels")):
                rows.append([f"Chromium, {what}", number(browser[key]), f"{browser[key] / native:.1f}"])
            rows.append(["Chromium, load", number(browser["load_ms"]), ""])
        if "missing" in program:
            missing.append(f"C, {TITLES[name]}: {program['missing']}.")
        else:
            for variant, cell in program.items():
                rows.append([f"C program, {variant}, from its start to the image", number(cell["median_ms"]), ""])
    text = f"Wanted of the C program: under {TARGET_C_MS} ms for 28×28. The files are the dynamic ones unless said."
    return f"""## Devices: the browser and the C program

`make bench-device`, or `python bench/device.py`.

{table(["", "ms", "× native"], rows)}

{paragraph(" ".join([text, *missing]))}"""


def _export(found: Mapping[str, Mapping[str, Any]], growth: Sequence[Mapping[str, Any]]) -> str:
    exports = [(TITLES[name], one["export"]) for name, one in found.items() if one["export"]]
    exports += [(f"28×28, {cell['bytes'] / 4e6:.1f} million weights", cell) for cell in growth]
    names = list(dict.fromkeys(step for _, cell in exports for step in cell["steps"]))
    rows = [
        [what, number(cell["seconds"]), *(f"{cell['steps'].get(step, 0):.1f}" for step in names)]
        for what, cell in exports
    ]
    return f"""## Export: seconds, and how they grow

`make bench-device`, or `python bench/device.py`: `genexport publish`, each step by its own account.

{table(["", "seconds", *names], rows)}

Wanted of the demo's generator, 28×28 of the preset `small`: under {TARGET_EXPORT_SECONDS} s."""
