"""Memory that was only needed for a while goes back to the operating system."""

from __future__ import annotations

from genserve.runtime import memory

BLOCKS, BLOCK_BYTES = 100_000, 2000


def test_memory_of_a_burst_is_given_back_once_it_is_free(monkeypatch):
    monkeypatch.setattr(memory, "LOOK_SECONDS", 0)
    keeper = memory.Keeper()
    before = memory.resident_bytes()
    blocks = [bytes(BLOCK_BYTES) for _ in range(BLOCKS)]
    last = bytes(BLOCK_BYTES)  # without it the C library would give back by itself what lies below
    del blocks
    assert memory.resident_bytes() > before + BLOCKS * BLOCK_BYTES // 2
    keeper.look()
    assert memory.resident_bytes() < before + memory.GROWTH_BYTES
    assert last
