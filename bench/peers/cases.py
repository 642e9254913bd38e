"""The cases: for each a command, and how its output becomes runs by phase."""

import json
import os
from dataclasses import dataclass, field
from typing import Callable

from peers import targets as t
from peers import training_log
from peers.environments import HERE

WINDOW = 5  # steps whose tokens and seconds are added up where steps differ in size
REAL_STEPS = 4  # times as many steps of real records, which are short


@dataclass
class Case:
    name: str
    command: list
    runs: Callable          # stdout -> {phase: run}
    guess: float            # seconds, until a round has told
    is_peer: bool = False
    refused: tuple = field(default=())  # (text in the message, what it means)


def shape_of(text):
    return [int(part) for part in text.split("x")]


def last_json(stdout):
    return json.loads(stdout.strip().splitlines()[-1])


def peer_runs(window=1):
    return lambda stdout: {"": last_json(stdout) | {"window": window}}


class Cases:
    """`setup`: program, bench_program, python, moe_peft_python, material, scratch, steps, dtype, is_quick."""

    def __init__(self, setup):
        self.setup = setup

    def bench(self, name, shape, *settings):
        rows, length = shape_of(shape)

        def runs(stdout):
            result = last_json(stdout)
            return {"": result | {"tokens": [rows * length] * len(result["seconds"])}}

        command = [self.setup.program, "bench", "train", "--json", "--rows", str(rows), "--length", str(length),
                   "--steps", str(self.setup.steps), "--dtype", self.setup.dtype, *settings]
        return Case(f"{name} {shape}", command, runs, self.guess(rows * length, 170))

    def guess(self, tokens, speed):
        return 15 + tokens * (self.setup.steps + 1) / speed

    def step_program(self, python, program, steps, *settings):
        return [python, os.path.join(HERE, "programs", program), "--base", self.setup.material.base,
                "--steps", str(steps), "--dtype", self.setup.dtype, *settings]

    def peft(self, name, shape, speed, *settings):
        rows, length = shape_of(shape)
        command = self.step_program(self.setup.python, "peft_step.py", self.setup.steps, "--rows", str(rows), "--length", str(length), *settings)
        return Case(f"{name} {shape}", command, peer_runs(), self.guess(rows * length, speed), is_peer=True)

    def moe_peft(self, name, method, shape):
        rows, length = shape_of(shape)
        command = self.step_program(self.setup.moe_peft_python, "moe_peft_step.py", self.setup.steps, "--rows", str(rows),
                                    "--length", str(length), "--rank", "8", "--method", method)
        return Case(f"{name} {shape}", command, peer_runs(), self.guess(rows * length, 90), is_peer=True)

    def train(self, name, recipe, parse, tokens, refused=()):
        """`lmoe train` on a recipe written here; its log is the output."""
        stem = os.path.join(self.setup.scratch, name.replace(" ", "-").replace(",", "").replace("=", ""))
        recipe = {"base_model": "smollm2-135m", "output_dir": f"{stem}-run", "overwrite_output_dir": True, "plot_loss": False,
                  "first_look_records": 0, "save_steps": 1_000_000, "logging_steps": 1, "max_grad_norm": 0.0,
                  "learning_rate": 1e-4, "lr_scheduler": "constant", "warmup_ratio": 0.0, "seed": 0,
                  "bf16": "true" if self.setup.dtype == "bfloat16" else "false"} | recipe
        with open(f"{stem}.yaml", "w") as file:
            json.dump(recipe, file, indent=1)  # JSON is YAML

        def runs(_):
            with open(f"{stem}-run/log.jsonl") as file:
                return parse([json.loads(line) for line in file])

        return Case(name, [self.setup.program, "train", f"{stem}.yaml"], runs, 15 + tokens / 170, refused=refused)

    # One function per target letter; cases that two letters need are made twice and run once.

    def a(self, shape):
        return [self.bench(t.OURS_LORA, shape, "mixture.method=lora", "mixture.experts.rank=64"),
                self.bench(t.OURS_L_MOE, shape, "mixture.method=l-moe")]

    def b(self, shape):
        ffn = "mixture.target_modules=[gate_proj, up_proj, down_proj]"
        return [self.bench(t.OURS_FFN_LORA, shape, "mixture.method=lora", ffn, "mixture.experts.rank=16"),
                self.bench(t.OURS_FFN_MIXLORA, shape, "mixture.method=mixlora", "mixture.experts.rank=8", "mixture.experts.alpha=16",
                           "mixture.experts.dropout=0", "mixture.plain.target_modules=[]")]

    def c(self, shape):
        return [self.a(shape)[0], self.peft(t.PEFT_LORA, shape, 150, "--rank", "64")]

    def d(self, shape):
        rank = ["mixture.experts.rank=8", "mixture.experts.alpha=16", "mixture.experts.dropout=0",
                "mixture.plain.target_modules=[q_proj, k_proj, v_proj, o_proj]", "mixture.plain.rank=8", "mixture.plain.alpha=16",
                "mixture.plain.dropout=0"]
        cases = []
        for size in dict.fromkeys([shape, t.SMALL]):
            cases += [self.bench(t.OURS_MIXLORA, size, "mixture.method=mixlora", *rank),
                      self.moe_peft(t.PEER_MIXLORA, "mixlora", size),
                      self.bench(t.OURS_LORAMOE, size, "mixture.method=loramoe", "mixture.experts.count=8", *rank),
                      self.moe_peft(t.PEER_LORAMOE, "loramoe", size)]
        return cases

    def e(self, shape):
        rows, length = shape_of(shape)
        steps = self.setup.steps + 1
        texts = os.path.join(self.setup.scratch, "texts.jsonl")
        self.setup.write_long_texts(texts, rows * steps)
        adapters = self.setup.material.adapters
        recipe = {"mixture": {"method": "x-lora", "gate": {"layerwise": False},
                              "adapters": {str(i): path for i, path in enumerate(adapters)}},
                  "datasets": [{"path": texts, "type": "text"}], "sequence_len": length, "micro_batch_size": rows, "num_epochs": 2}
        ours = self.train(f"{t.OURS_X_LORA} {shape}", recipe, lambda lines: training_log.by_epoch(lines, 1), 2 * steps * rows * length)
        return [ours, self.peft(t.PEFT_X_LORA, shape, 85, "--adapters", *adapters)]

    def record_sets(self, per_task):
        return [{"path": f"{self.setup.tasks}/{task}", "max_samples": per_task} for task in self.setup.record_tasks]

    def packed(self, name, rows, length, steps, window):
        recipe = {"mixture": {"method": "lora", "experts": {"rank": 32}}, "datasets": self.record_sets(500), "sequence_len": length,
                  "micro_batch_size": rows, "max_steps": steps + 1}
        return self.train(name, recipe, lambda lines: training_log.whole_run(lines, window), (steps + 1) * rows * length)

    def f(self, _):
        """Rows of as many tokens as PEFT's batch of eight has on average, padding not counted."""
        steps, lengths = REAL_STEPS * self.setup.steps, self.setup.material.lengths()
        row = round(8 * sum(lengths) / len(lengths))
        peft = self.step_program(self.setup.python, "peft_step.py", steps, "--rank", "32", "--rows", "8",
                                 "--records", self.setup.material.records)
        return [self.packed(t.OURS_PACKED, 1, row, steps, WINDOW),
                Case(t.PEFT_PADDED, peft, peer_runs(WINDOW), 15 + (steps + 1) * row / 110, is_peer=True)]

    def g(self, shape):
        return [self.a(shape)[1], self.packed(f"{t.OURS_PACKED} {shape}", *shape_of(shape), self.setup.steps, 1)]

    def h(self, _):
        command = [self.setup.bench_program, "--benchmark_filter=^mixture_op_l_moe_8_by_8/", "--benchmark_format=json", "--benchmark_min_time=3"]

        def runs(stdout):
            found = json.loads(stdout)["benchmarks"][0]  # milliseconds
            return {"": {"tokens": [2048], "seconds": [found["real_time"] / 1e3], "bound_share": found["bound_share"]}}

        return [Case(t.OURS_OP, command, runs, 20)]

    def i(self, shape):
        rows, length = shape_of(shape)
        config, steps = self.setup.material.config(), self.setup.steps + 1
        layers = config["num_hidden_layers"]
        targets = [f"layers.{layer}.{block}.{name}" for layer in range(layers // 2, layers)
                   for block, names in (("self_attn", "qkvo"), ("mlp", ("gate", "up", "down"))) for name in (f"{n}_proj" for n in names)]
        lengths = self.setup.material.lengths()
        per_task = round(steps * rows * length * len(lengths) / sum(lengths) / 3)
        recipe = {"mixture": {"method": "l-moe", "target_modules": targets}, "datasets": self.record_sets(per_task), "sequence_len": length,
                  "micro_batch_size": rows, "num_epochs": 2}
        missing = ("frozen_prefix_cache_mb", "not available: this program has no frozen_prefix_cache_mb")
        return [self.train(name, recipe | {"frozen_prefix_cache_mb": size}, lambda lines: training_log.by_epoch(lines, 1),
                           2 * steps * rows * length, refused=missing)
                for name, size in ((t.OURS_UNCACHED, 0), (t.OURS_CACHED, 4096))]


def cases_of(letters, setup):
    """Of these targets, each case once, in the order they alternate in."""
    shape = t.SMALL if setup.is_quick else t.FULL
    made = Cases(setup)
    found = {}
    for letter in letters:
        for case in getattr(made, letter)(shape):
            found.setdefault(case.name, case)
    return list(found.values())
