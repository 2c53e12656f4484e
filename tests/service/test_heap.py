"""What one thread has freed another can use."""

import subprocess
import sys

import pytest

# Each of 16 threads in turn takes and gives back 60 blocks of 100 kB, all of which glibc keeps for its heap.
THREADS = """
import ctypes, sys, threading
from service.heap import use_one_heap
if sys.argv[1] == "one":
    use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
places = set()
started = threading.Barrier(16)
def work():
    started.wait()
    block = libc.malloc(100_000)
    places.add(block >> 26)
    started.wait()
    libc.free(block)
threads = [threading.Thread(target=work) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(places))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc that has several heaps")
def test_threads_share_one_heap() -> None:
    one, many = (
        int(subprocess.run([sys.executable, "-c", THREADS, how], capture_output=True, text=True, check=True).stdout)
        for how in ("one", "many")
    )
    assert one <= 2 < many
