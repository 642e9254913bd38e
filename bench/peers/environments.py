"""The Python environments that the peers run in, each with exact versions, under the cache of the user."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
REQUIREMENTS = os.path.join(HERE, "requirements-moe-peft.txt")
WITHOUT_PINS = os.path.join(HERE, "requirements-moe-peft-no-deps.txt")


def say(text):
    print(f"compare_peers: {text}", file=sys.stderr, flush=True)


def cache_folder():
    """Of these versions: other ones get another folder."""
    digest = hashlib.sha256()
    for path in (REQUIREMENTS, WITHOUT_PINS, os.path.join(ROOT, "tools", "requirements.txt")):
        with open(path, "rb") as file:
            digest.update(file.read())
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "lmoe", f"peers-{digest.hexdigest()[:12]}")


def project_python():
    """Python of `make setup`: it has torch, transformers and peft."""
    venv = subprocess.run([os.path.join(ROOT, "tools", "setup.sh"), "--print-venv"], capture_output=True, text=True, check=True)
    python = os.path.join(venv.stdout.strip(), "bin", "python")
    if not os.path.exists(python):
        sys.exit(f"compare_peers: the Python environment of the project is missing: given {python}; hint: run `make build` first")
    return python


def make(folder, base_python):
    """Made aside and renamed, so that an interrupted set-up leaves nothing half."""
    aside = f"{folder}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    subprocess.run([base_python, "-m", "venv", aside], check=True)
    pip = [os.path.join(aside, "bin", "python"), "-m", "pip", "install", "-qq", "--no-input", "--disable-pip-version-check", "--no-compile"]
    subprocess.run([*pip, "--requirement", REQUIREMENTS], check=True, stdout=sys.stderr)
    subprocess.run([*pip, "--no-deps", "--requirement", WITHOUT_PINS], check=True, stdout=sys.stderr)
    os.rename(aside, folder)


def moe_peft_python(cache, base_python):
    """An environment of its own: moe-peft needs an older transformers than peft."""
    folder = os.path.join(cache, "moe-peft")
    python = os.path.join(folder, "bin", "python")
    os.makedirs(cache, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(python):
            say(f"making the environment of MoE-PEFT in {folder} (torch is large, this takes some minutes)")
            make(folder, base_python)
    return python
