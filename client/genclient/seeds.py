"""`genclient.latents` by its old name."""

from genclient.latents.seeds import format_seeds, latents, parse_seeds, seed_array, seed_range

__all__ = ["format_seeds", "latents", "parse_seeds", "seed_array", "seed_range"]
