"""What the tests of the programs share: a folder of their own and a way to run lmoe."""

import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import tiny

PROGRAM = os.environ["LMOE_PROGRAM"]
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def lmoe(*arguments, stdin="", folder=ROOT, **how):
    command = [PROGRAM, *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=300, cwd=folder, **how)


def log_lines(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def files_of(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class ProgramTest(unittest.TestCase):
    """Each class has a tiny base and tiny tasks in self.folder."""

    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory(prefix="lmoe-e2e-")
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        cls.base = tiny.write_base(cls.folder / "base")
        cls.tasks = tiny.write_tasks(cls.folder / "tasks")

    @classmethod
    def recipe(cls, name, **settings):
        return tiny.write_recipe(cls.folder / f"{name}.yaml", cls.base, cls.tasks, **settings)

    def run_well(self, *arguments, stdin=""):
        done = lmoe(*arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, f"lmoe {arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout


class TrainedTest(ProgramTest):
    """Each class has a run of its `mixture` in self.run_folder, and a line of text in self.text."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = lmoe("train", cls.recipe("run", mixture=cls.mixture))
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.run_folder = cls.folder / "run"
        cls.text = cls.folder / "text.txt"
        cls.text.write_text("hot is not cold")
