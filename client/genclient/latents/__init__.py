"""Latents: of seeds (`seeds.py`), between them (`interpolation.py`), along directions (`directions.py`), given as
arrays (`array.py`) or in files (`file.py`).

from genclient.latents import latents, parse_seeds

z = latents(parse_seeds("0,3-5"), 64)  # float32 (4, 64)
"""

from genclient.latents.seeds import format_seeds, latents, parse_seeds, seed_range

__all__ = ["format_seeds", "latents", "parse_seeds", "seed_range"]
