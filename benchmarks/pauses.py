"""For how long the machine keeps busy processes from their cores: one on each does nothing but look at the clock.

A virtual machine shares its processors; what it takes away for a while adds to the tail of every latency measured.

    python -m benchmarks.pauses 10 0 1      # seconds, cores
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

# Shorter ones are the clock's own.
_SHORTEST_SECONDS = 0.001


def pauses(cores: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """Of processes that spin on all the cores at once: the `share` of time without the core, the `longest_ms`, `count`."""
    spinning = [
        subprocess.Popen([sys.executable, __file__, str(seconds), core], stdout=subprocess.PIPE) for core in cores
    ]
    return [json.loads(process.communicate()[0]) for process in spinning]


def _spin(core: int, seconds: float) -> dict[str, float]:
    os.sched_setaffinity(0, {core})
    last = time.perf_counter()
    end, lost = last + seconds, [0.0]
    while last < end:
        now = time.perf_counter()
        if now - last > _SHORTEST_SECONDS:
            lost.append(now - last)
        last = now
    return {"share": sum(lost) / seconds, "longest_ms": max(lost) * 1000, "count": len(lost) - 1}


if __name__ == "__main__":
    duration, *numbers = sys.argv[1:]
    one_core = len(numbers) == 1
    print(json.dumps(_spin(int(numbers[0]), float(duration)) if one_core else pauses(numbers, float(duration))))
