"""One case in a process of its own: what it printed, its peak of memory, and what others did on the machine meanwhile."""

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass


@dataclass
class Outcome:
    stdout: str
    error: str                # "" when the process ended well
    seconds: float
    peak_memory_bytes: int    # largest resident set
    others_cores: float       # cores kept busy by other processes


def busy_seconds():
    """CPU seconds of the whole machine since it started."""
    with open("/proc/stat") as file:
        ticks = [int(x) for x in file.readline().split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def reason_of(code, stderr, memory_limit):
    signs = ("MemoryError", "bad_alloc", "out of memory", "not enough memory", "can't allocate memory", "Cannot allocate memory")
    if code == -signal.SIGKILL or any(sign in stderr for sign in signs):
        limit = f" (limit {memory_limit / 2**30:.0f} GiB)" if memory_limit else ""
        return f"out of memory{limit}"
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return f"exit code {code}: {lines[-1].strip()[:300] if lines else 'no message'}"


def stop(process):
    """Ends a process and all that it started: kindly, then by force."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.killpg(process.pid, signal.SIGTERM)
        for _ in range(20):
            if os.waitpid(process.pid, os.WNOHANG)[0]:
                break
            time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.killpg(process.pid, signal.SIGKILL)
        os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGKILL


def run(command, environment, memory_limit=0, time_limit=1800, folder=None):
    """`memory_limit` in bytes of data, 0 for none; so a peer that needs more fails alone."""
    def limited():
        if memory_limit:
            resource.setrlimit(resource.RLIMIT_DATA, (memory_limit, memory_limit))

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin, busy = time.monotonic(), busy_seconds()
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                                   start_new_session=True, preexec_fn=limited)
        is_late = threading.Event()

        def end_it():
            is_late.set()
            process.kill()

        timer = threading.Timer(time_limit, end_it)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C above all: nothing may go on alone
            stop(process)
            raise
        finally:
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begin
        own = usage.ru_utime + usage.ru_stime
        out.seek(0), err.seek(0)
        stdout, stderr = out.read().decode(errors="replace"), err.read().decode(errors="replace")
    error = ""
    if is_late.is_set():
        error = f"over {time_limit} s"
    elif process.returncode != 0:
        error = reason_of(process.returncode, stderr, memory_limit)
    others = max(busy_seconds() - busy - own, 0.0) / seconds
    return Outcome(stdout, error, seconds, usage.ru_maxrss * 1024, round(others, 3))
