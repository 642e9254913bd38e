"""Every lmoe command that a document, a recipe or a help text shows is understood: run where neither its run nor its base
model exists, it complains about just that, or it works."""

import pathlib
import re
import shlex
import tempfile
import unittest

from program import ROOT, lmoe

DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("recipes/**/*.yaml")]
ALONE = re.compile(r"^(?:[ #]*|.*\| )(?:build/)?lmoe +([a-z].*)$", re.MULTILINE)  # a line of its own, perhaps after a pipe
INLINE = re.compile(r"`(?:build/)?lmoe +([a-z][^`]*)`")
END = re.compile(r"\s+[#<>|]\s.*$")  # a comment, a redirection, the next command
NOWHERE = "no/such/base"
ABSENT = re.compile(r"no such run|no such adapter|no such model|was not trained yet|has no config_effective\.json|without log\.jsonl|" + NOWHERE)


def commands_in(text):
    text = text.replace("\\\n", " ")
    return [END.sub("", found) for found in ALONE.findall(text)]


def commands_in_markdown(text):
    plain, fenced = text.split("```")[::2], text.split("```")[1::2]
    return commands_in("\n".join(fenced)) + INLINE.findall("\n".join(plain))


def shown_commands():
    found = {}
    for path in DOCUMENTS:
        find = commands_in_markdown if path.suffix == ".md" else commands_in
        for command in find(path.read_text()):
            found.setdefault(command, path.relative_to(ROOT))
    for verb in re.findall(r"^  ([a-z]+) {2,}", lmoe("--help").stdout, re.MULTILINE):
        for command in commands_in(lmoe(verb, "--help").stdout.partition("examples:")[2]):
            found.setdefault(command, f"lmoe {verb} --help")
    return found


def harmless(command):
    """The command without the model it would spend time on; a verb that is only mentioned asks for help."""
    if " " not in command:
        return [command, "--help"]
    words = shlex.split(command.replace("RUN", "runs/name").replace("NAME", "l-moe").replace("…", ""))
    words = [NOWHERE if before == "--base" else word for before, word in zip(["", *words], words)]
    return words + [f"base_model={NOWHERE}"] if words[0] in ("train", "compare", "bench") else words


class ShownCommands(unittest.TestCase):
    def check(self, command):
        with tempfile.TemporaryDirectory(prefix="lmoe-e2e-") as folder:
            here = pathlib.Path(folder)
            for name in ("recipes", "data", "README.md"):
                (here / name).symlink_to(ROOT / name)
            for name in ("page.txt", "prompt.txt"):
                (here / name).write_text("to be or not to be")
            done = lmoe(*harmless(command), stdin="hello\n", folder=here)
        if done.returncode != 0:
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertRegex(done.stderr, ABSENT)

    def test_each_is_understood(self):
        commands = shown_commands()
        self.assertGreater(len(commands), 25)
        for command, place in commands.items():
            with self.subTest(command, shown_in=str(place)):
                self.check(command)

    def test_commands_are_found(self):
        text = "  build/lmoe eval runs/a --json   # why\n#   lmoe train x.yaml \\\n  a=1\necho x | lmoe score r > f\nsee lmoe\n"
        self.assertEqual(commands_in(text), ["eval runs/a --json", "train x.yaml    a=1", "score r"])
        markdown = "lmoe is a house, `lmoe schema`\n```\nlmoe chat r\n```\n"
        self.assertEqual(commands_in_markdown(markdown), ["chat r", "schema"])

    def test_a_wrong_option_is_noticed(self):
        for command in ("eval runs/a --jsno", "train recipes/l-moe.yaml learning_rat=1", "chat runs/a temprature=1", "trian x"):
            with self.subTest(command), self.assertRaises(AssertionError):
                self.check(command)


if __name__ == "__main__":
    unittest.main()
