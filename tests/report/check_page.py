"""Looks at a rendered report: python check_page.py PAGE.html

- No element asks for anything outside the page, and the content policy forbids it.
- Every script parses (with node).
- Chromium draws it: no fault, all sections, and hostile texts stay texts.
"""

import html.parser
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SECTIONS = ["scores", "cost", "rates", "routing", "training", "router", "usage", "prompts", "ablation", "samples", "recipe"]
LOADING_ATTRIBUTES = {"src", "href", "srcset", "data", "action", "poster", "formaction", "background"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.styles, self.loads, self.policy, self.inside = [], [], [], [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.loads += [(tag, v) for k, v in attributes.items() if k in LOADING_ATTRIBUTES and not v.startswith("#")]
        if attributes.get("http-equiv") == "Content-Security-Policy":
            self.policy = attributes["content"]
        self.inside = tag if tag in ("script", "style") else None
        if tag == "script" and attributes.get("type") == "application/json":
            self.inside = None

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts.append(data)
        elif self.inside == "style":
            self.styles.append(data)


def check_static(page):
    assert page.loads == [], page.loads
    assert not any(tag in ("link", "iframe", "object", "embed", "base") for tag, _ in page.tags), page.tags
    assert page.policy.startswith("default-src 'none'"), page.policy
    assert "http" not in page.policy, page.policy
    assert len(page.scripts) == 4 and len(page.styles) == 1, (len(page.scripts), len(page.styles))
    assert not re.search(r"@import|url\s*\(", page.styles[0])
    assert not re.search(r"fetch\s*\(|XMLHttpRequest|innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:", page.scripts[-1])


def check_scripts(page):
    node = shutil.which("node")
    assert node, "node is not installed; hint: make setup"
    for script in page.scripts:
        with tempfile.NamedTemporaryFile("w", suffix=".js") as file:
            file.write(script)
            file.flush()
            subprocess.run([node, "--check", file.name], check=True)


def check_drawn(path):
    browser = shutil.which("chromium")
    assert browser, "chromium is not installed, so nobody sees whether the page is drawn; hint: tools/setup.sh --tests"
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                   "--disable-background-networking", "--disable-component-update", "--disable-sync",
                   f"--user-data-dir={profile}", "--window-size=1240,900", "--virtual-time-budget=5000", "--dump-dom",
                   path.resolve().as_uri()]
        dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    drawn = Page(dom)
    ids = [a.get("id") for tag, a in drawn.tags if tag == "section"]
    assert ids == SECTIONS, ids
    assert not any(a.get("class") == "page-error" for _, a in drawn.tags), "the page reports a fault"
    assert sum(tag == "svg" for tag, _ in drawn.tags) >= 15, "too few plots were drawn"
    assert not any(tag == "img" for tag, _ in drawn.tags), "a text became markup"
    assert "<title>runs/l-moe</title>" in dom, "a text became script"


def main():
    path = pathlib.Path(sys.argv[1])
    page = Page(path.read_text())
    check_static(page)
    check_scripts(page)
    check_drawn(path)
    print("page: nothing to complain of")


if __name__ == "__main__":
    main()
