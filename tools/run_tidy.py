"""Runs clang-tidy in parallel; see run_tidy.sh."""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DATABASE = BUILD / "tidy"
EXTRA = ["-Wno-unknown-warning-option", "-Wno-unused-command-line-argument",
         "-idirafter/usr/lib/gcc/x86_64-linux-gnu/12/include"]  # omp.h


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def write_database():
    """A copy of the compilation database that clang can read, and its files.

    GCC's precompiled headers are no use to clang, which would take one for its own: the headers are included as text.
    """
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    DATABASE.mkdir(exist_ok=True)
    for entry in entries:
        for word in entry["command"].split():
            if word.endswith("cmake_pch.hxx"):
                copy = DATABASE / (hashlib.sha256(word.encode()).hexdigest()[:12] + ".hxx")
                shutil.copyfile(word, copy)
                entry["command"] = entry["command"].replace(word, str(copy))
        entry["command"] = entry["command"].replace(" -Winvalid-pch", "")
    (DATABASE / "compile_commands.json").write_text(json.dumps(entries))
    files = {os.path.relpath(entry["file"], ROOT) for entry in entries}
    return sorted(f for f in files if f.endswith(".cpp") and not f.startswith("build"))


def changed_since(revision, files):
    """Sources changed since a revision, or whose own header was."""
    try:
        changed = set(git("diff", "--name-only", revision).split())
    except subprocess.CalledProcessError:  # a shallow clone has no earlier revision
        return []
    return [f for f in files if f in changed or f.removesuffix(".cpp") + ".h" in changed]


def check(file):
    begin = time.monotonic()
    command = ["clang-tidy-14", "--quiet", "-p", str(DATABASE), *(f"--extra-arg={e}" for e in EXTRA), file]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return file, result, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser()
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--all", action="store_true")
    choice.add_argument("--base")
    choice.add_argument("--budget", type=float)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()

    files = write_database()
    if arguments.base:
        files = changed_since(arguments.base, files)
    elif arguments.budget:
        first = changed_since("HEAD~1", files)
        head = git("rev-parse", "HEAD")
        rest = [f for f in files if f not in first]
        rest.sort(key=lambda f: hashlib.sha256((head + f).encode()).digest())
        files = first + rest

    deadline = time.monotonic() + arguments.budget if arguments.budget else float("inf")
    failed, checked = [], 0

    def check_in_time(file):
        return check(file) if time.monotonic() < deadline else None

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for outcome in pool.map(check_in_time, files):
            if outcome is None:
                continue
            file, result, seconds = outcome
            checked += 1
            if result.returncode != 0:
                failed.append(file)
                print(f"tidy: {file} ({seconds:.0f} s)\n{result.stdout}", flush=True)
                if "error:" not in result.stdout:
                    print(result.stderr, flush=True)
    left_out = len(files) - checked
    print(f"tidy: {checked} files checked, {len(failed)} with findings"
          + (f", {left_out} left out because {arguments.budget:.0f} s were over (make tidy checks all)" if left_out else ""))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
