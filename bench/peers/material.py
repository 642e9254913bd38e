"""Base model, adapters and records that cases read: made once with the project's Python, kept in the cache."""

import itertools
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from peers.environments import HERE, ROOT, say

TASKS = os.path.join(ROOT, "data", "tasks")
RECORD_TASKS = ("clinc150", "snips", "nl2regex")


@dataclass
class Material:
    folder: str

    @property
    def base(self):
        return os.path.join(self.folder, "base")

    @property
    def adapters(self):
        return [os.path.join(self.folder, "adapters", str(i)) for i in range(4)]

    @property
    def records(self):
        return os.path.join(self.folder, "records.json")

    def config(self):
        with open(os.path.join(self.base, "config.json")) as file:
            return json.load(file)

    def lengths(self):
        with open(self.records) as file:
            return [len(record["ids"]) for record in json.load(file)]


def prepare(cache, python, program):
    """Made aside and renamed, as environments are."""
    folder = os.path.join(cache, "material")
    if not os.path.isdir(folder):
        say(f"preparing base model, adapters and records in {folder}")
        aside = f"{folder}.partial"
        shutil.rmtree(aside, ignore_errors=True)
        os.makedirs(aside)
        gguf = os.path.join(os.path.dirname(program), "models", "smollm2-135m.gguf")
        subprocess.run([python, os.path.join(HERE, "programs", "prepare.py"), "--gguf", gguf, "--tasks", TASKS, "--out", aside],
                       check=True, stdout=sys.stderr, env=os.environ | {"TQDM_DISABLE": "1", "TRANSFORMERS_VERBOSITY": "error"})
        os.rename(aside, folder)
    return Material(folder)


def write_long_texts(path, count):
    """`count` different texts of more than 512 tokens each: those of the task records, one after the other."""
    texts = []
    for task in RECORD_TASKS:
        with open(os.path.join(TASKS, task, "train.jsonl")) as file:
            texts += [json.loads(line)["prompt"] for line in file]
    with open(path, "w") as file:
        taken = itertools.cycle(texts)
        for _ in range(count):
            text = ""
            while len(text) < 4096:
                text += next(taken) + "\n"
            file.write(json.dumps({"text": text}) + "\n")
