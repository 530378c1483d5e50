"""The old name of `genclient.outputs.image_set`."""

from genclient.outputs.image_set import ImageSet as Order

__all__ = ["Order"]
