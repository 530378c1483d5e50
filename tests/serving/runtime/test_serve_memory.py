"""Memory that was only needed for a while goes back to the operating system."""

from __future__ import annotations

import json
import subprocess
import sys

from genserve.runtime import memory

BLOCKS, BLOCK_BYTES = 100_000, 2000

# In a process of its own: one that has run other tests may hold enough free memory to take a burst without growing.
BURST = f"""
import json
from genserve.runtime import memory

memory.LOOK_SECONDS = 0
keeper = memory.Keeper()
seen = [memory.resident_bytes()]
blocks = [bytes({BLOCK_BYTES}) for _ in range({BLOCKS})]
last = bytes({BLOCK_BYTES})  # without it the C library would give back by itself what lies below
del blocks
seen.append(memory.resident_bytes())
keeper.look()
seen.append(memory.resident_bytes())
print(json.dumps(seen))
"""


def test_memory_of_a_burst_is_given_back_once_it_is_free():
    ran = subprocess.run([sys.executable, "-c", BURST], capture_output=True, text=True, timeout=120, check=True)
    before, burst, after = json.loads(ran.stdout)
    assert burst > before + BLOCKS * BLOCK_BYTES // 2
    assert after < before + memory.GROWTH_BYTES
