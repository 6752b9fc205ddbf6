"""Runs one command and prints what it took, as JSON: ``python -I -S measure.py COMMAND...``.

This is a separate process, because on Linux a child's peak memory is never below that of the process that started it.
"""

import json
import os
import sys
import time

started = time.perf_counter()
child = os.fork()
if child == 0:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.execvp(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
unit = 1 if sys.platform == "darwin" else 1024
print(
    json.dumps(
        {
            "status": os.waitstatus_to_exitcode(status),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "wall_s": time.perf_counter() - started,
            "peak_mb": usage.ru_maxrss * unit / 1e6,
        }
    )
)
