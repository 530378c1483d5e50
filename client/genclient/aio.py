"""`genclient.client.aio` by its old name."""

from genclient.client.aio import AsyncClient

__all__ = ["AsyncClient"]
