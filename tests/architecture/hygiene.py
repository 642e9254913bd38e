"""What no file of the repository may contain, and how long a source file may be.

    python hygiene.py [ROOT]     prints every violation and exits 1 when there is one
"""

import pathlib
import re
import subprocess
import sys

MAX_LINES = 400
SOURCES = {".h", ".cpp", ".py", ".sh", ".cmake", ".js", ".css"}
# Written in pieces, so that this file does not contain them: folders of one machine, and hosts that a build must not
# name because every site has its own mirrors.
FORBIDDEN = ["/wo" + "rk/", "../sha" + "red", "/ro" + "ot/", "pypi" + ".org", "python" + "hosted.org", "deb." + "debian.org",
             "registry." + "npmjs", "download." + "pytorch.org"]
# A folder counts only at the start of a path.
PATTERNS = {word: re.compile((r"(?<![\w.~-])" if word.startswith("/") else "") + re.escape(word)) for word in FORBIDDEN}
# Text that others wrote: task data and recorded fixtures.
QUOTED = ("data/tasks/", "tests/fixtures/")


def tracked_files(root):
    """Files git knows or would add; every file where there is no git."""
    listing = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root,
                             capture_output=True, text=True)
    if listing.returncode != 0:
        return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
    return sorted(f for f in listing.stdout.splitlines() if (root / f).is_file())


def check_tree(root):
    problems = []
    for name in tracked_files(root):
        path = root / name
        quoted = name.startswith(QUOTED) and path.suffix not in (".py", ".md")
        if quoted:
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            problems += [f"{name}:{number}: mentions {word}" for word in FORBIDDEN if PATTERNS[word].search(line)]
        lines = text.count("\n")
        if path.suffix in SOURCES and lines > MAX_LINES:
            problems.append(f"{name}: {lines} lines, at most {MAX_LINES} are allowed; split it by idea")
    return problems


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]
    problems = check_tree(root)
    print("\n".join(problems) or "hygiene: nothing to complain of")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
