"""Stops threads of a process, and lets them go on when standard input ends: python3 freeze.py PID NAME

Those whose name begins so (a kernel knows 15 letters of it). The others go on: a process of which a part hangs, which no signal
makes. Stops as a debugger does, ptrace(2), so it takes the right to be one.
"""

import ctypes
import os
import pathlib
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT = 0x4206, 0x4207

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, task):
    if libc.ptrace(request, task, None, None) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), f"thread {task}")


frozen = 0
for task in pathlib.Path(f"/proc/{sys.argv[1]}/task").iterdir():
    if (task / "comm").read_text().startswith(sys.argv[2]):
        ptrace(PTRACE_SEIZE, int(task.name))
        ptrace(PTRACE_INTERRUPT, int(task.name))
        frozen += 1
print(frozen, flush=True)
# The kernel lets go of all of them when this process ends, however it ends.
sys.stdin.read()
