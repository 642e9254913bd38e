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


def extra_arguments():
    """clang reads omp.h of GCC, whose attribute for deallocators it does not know."""
    headers = subprocess.run(["g++", "-print-file-name=include"], capture_output=True, text=True, check=True).stdout.strip()
    return ["-Wno-unknown-warning-option", "-Wno-unused-command-line-argument", "-D__malloc__(...)=", f"-idirafter{headers}"]


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


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
    listing = git("diff", "--name-only", revision, "--")
    if listing.returncode != 0:
        print(f"tidy: this checkout has no revision {revision} (a shallow clone?), so no file is checked; make tidy checks all")
        return []
    changed = set(listing.stdout.split())
    return [f for f in files if f in changed or f.removesuffix(".cpp") + ".h" in changed]


def check(file, extra):
    begin = time.monotonic()
    command = ["clang-tidy-14", "--quiet", "-p", str(DATABASE), *(f"--extra-arg={e}" for e in extra), file]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return file, result, time.monotonic() - begin


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--base")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("files", nargs="*")
    arguments = parser.parse_args()
    if sum([arguments.all, arguments.base is not None, bool(arguments.files)]) != 1:
        parser.error("expected one of --all, --base REVISION or files")

    files = write_database()
    if arguments.base is not None:
        files = changed_since(arguments.base, files)
    elif arguments.files:
        unknown = set(arguments.files) - set(files)
        if unknown:
            parser.error(f"not sources of the build: {', '.join(sorted(unknown))}")
        files = arguments.files

    extra = extra_arguments()
    failed = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for file, result, seconds in pool.map(lambda f: check(f, extra), files):
            if result.returncode != 0:
                failed.append(file)
                print(f"tidy: {file} ({seconds:.0f} s)\n{result.stdout}", flush=True)
                if "error:" not in result.stdout:
                    print(result.stderr, flush=True)
    print(f"tidy: {len(files)} files checked, {len(failed)} with findings")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
