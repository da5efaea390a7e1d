"""CPU time and memory of a process, by its id."""

from __future__ import annotations

import sys
import time

import psutil


def cpu_s(pid: int) -> float:
    """CPU seconds, user and system, of all threads of the process."""
    if sys.platform == "linux":
        # The clock of another process (clock_getcpuclockid(3)) counts nanoseconds; /proc counts hundredths of seconds,
        # which is more than nginx needs for a whole round.
        return time.clock_gettime(~pid << 3 | 2)
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def rss_bytes(pid: int) -> int:
    size: int = psutil.Process(pid).memory_info().rss
    return size
