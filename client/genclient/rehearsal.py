"""`genclient.device.sandbox` by its old name."""

from genclient.device.sandbox import rehearse

__all__ = ["rehearse"]
