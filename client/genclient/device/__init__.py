"""A generator in a TFLite file, run on this machine.

`generator.py` makes images, in threads, `pictures.py` whatever is made of pictures; `interpreter.py` has LiteRT,
`layout.py` finds out which tensors are latents and images. `sandbox.py` tries a file in a child process first.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from genclient.device.generator import DeviceGenerator

__all__ = ["DeviceGenerator"]


def __getattr__(name: str) -> Any:
    """Load the class on first use (PEP 562)."""
    if name == "DeviceGenerator":
        from genclient.device.generator import DeviceGenerator

        return DeviceGenerator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
