"""Processor, features, threads and versions: what a figure is worth nothing without."""

import os
import subprocess

SHOWN = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "asimd", "bf16")


def processor():
    """(name, features) out of /proc/cpuinfo."""
    with open("/proc/cpuinfo") as file:
        lines = [line.split(":", 1) for line in file if ":" in line]
    fields = {key.strip().lower(): value.strip() for key, value in reversed(lines)}
    flags = (fields.get("flags") or fields.get("features") or "").split()
    return fields.get("model name", "unknown processor"), [feature for feature in SHOWN if feature in flags]


def memory_bytes():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_limit():
    """For a peer that may need more than there is: so it fails alone, and not with whatever else runs."""
    with open("/proc/meminfo") as file:
        available = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    return int(min(0.8 * memory_bytes(), 0.9 * available))


def describe(threads):
    name, features = processor()
    return {"processor": name, "features": features, "threads": threads, "memory_bytes": memory_bytes()}


def versions(python, names):
    """{name: version} as another environment has them."""
    code = "import importlib.metadata as m, sys\nfor n in sys.argv[1:]: print(n, m.version(n))"
    lines = subprocess.run([python, "-c", code, *names], capture_output=True, text=True, check=True).stdout.splitlines()
    return dict(line.split() for line in lines)


def program_version(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True)
    return done.stdout.strip().removeprefix("lmoe ") if done.returncode == 0 else "unknown"
