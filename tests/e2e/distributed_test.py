"""Several workers, started by hand and by torchrun: what one learns, all learn; any of them may be interrupted or killed."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import unittest

from program import PROGRAM, ROOT, ProgramTest, lmoe, log_lines

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python", "--nproc-per-node", "2"]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_workers(arguments, count=2, others_arguments=None):
    """One process per worker; the first keeps the store. Others may be given other arguments."""
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    workers = []
    for rank in range(count):
        mine = arguments if rank == 0 or others_arguments is None else others_arguments
        workers.append(subprocess.Popen([PROGRAM, *map(str, mine)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                        cwd=ROOT, env=os.environ | common | {"RANK": str(rank)}))
    return workers


def finish(workers):
    """(exit code, stdout, stderr) of each."""
    return [(worker.returncode, *output) for worker, output in [(w, w.communicate(timeout=200)) for w in workers]]


def losses(run):
    return [(line["current_steps"], line["loss"]) for line in log_lines(run)]


class Distributed(ProgramTest):
    def assert_close(self, run, reference, tolerance=2e-5):
        ours, theirs = losses(self.folder / run), losses(self.folder / reference)
        self.assertEqual([step for step, _ in ours], [step for step, _ in theirs])
        for (step, mine), (_, other) in zip(ours, theirs):
            self.assertLess(abs(mine - other), tolerance * other, f"step {step}: {mine} and {other}")

    def train_with_two(self, name, **settings):
        recipe = self.recipe(name, **settings)
        outcomes = finish(start_workers(["train", recipe]))
        self.assertEqual([code for code, _, _ in outcomes], [0, 0], outcomes)
        return outcomes

    def test_two_learn_what_one_does_with_twice_the_accumulation(self):
        mixtures = {
            "dropout": {"method": "l-moe", "num_experts": 2, "experts": {"rank": 4, "dropout": 0.1}},
            "losses": {"method": "l-moe", "num_experts": 3, "experts": {"rank": 4},
                       "losses": [{"kind": "cv2", "coef": 0.1}, {"kind": "importance", "coef": 0.1}]},
            "ffn": {"method": "mixlora", "num_experts": 3, "experts": {"rank": 4}},
            "biases": {"method": "smora", "experts": {"count": 8}, "select": {"k": 2}, "bias": {"rate": 0.01}},
        }
        for name, mixture in mixtures.items():
            settings = {"mixture": mixture, "max_steps": 12, "val_set_size": 0.2, "eval_steps": 6, "logging_steps": 1}
            with self.subTest(name):
                one = lmoe("train", self.recipe(f"{name}-one", gradient_accumulation_steps=4, **settings))
                self.assertEqual(one.returncode, 0, one.stderr)
                first, second = self.train_with_two(f"{name}-two", gradient_accumulation_steps=2, **settings)
                self.assert_close(f"{name}-two", f"{name}-one")
                self.assertIn("2 workers", first[2])
                self.assertEqual(second[1:], ("", ""), "the second worker is silent")
                for ours, theirs in zip(log_lines(self.folder / f"{name}-two"), log_lines(self.folder / f"{name}-one")):
                    self.assertEqual(ours["total_tokens"], theirs["total_tokens"])
                    self.assertEqual("eval_loss" in ours, "eval_loss" in theirs)
                    if "eval_loss" in ours:
                        self.assertAlmostEqual(ours["eval_loss"], theirs["eval_loss"], places=3)
        config = json.loads((self.folder / "biases-two" / "config_effective.json").read_text())
        self.assertEqual(config["gradient_accumulation_steps"], 4, "what one worker would need")

    def told_by(self, workers):
        return str(finish(workers)) if workers[0].poll() is not None else ""

    def break_off(self, name, workers, how, after=5):
        """Signals the last worker once the run has logged some steps."""
        log, deadline = self.folder / name / "log.jsonl", time.monotonic() + 120
        while not (log.exists() and len(log.read_text().splitlines()) >= after):
            self.assertIsNone(workers[0].poll(), "the run ended before it could be broken off: " + self.told_by(workers))
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.005)
        workers[-1].send_signal(how)
        return finish(workers)

    def test_runs_go_on_with_another_number_of_workers(self):
        settings = {"max_steps": 150, "logging_steps": 1, "save_steps": 1000, "val_set_size": 0.2, "eval_steps": 50, "learning_rate": 1e-3,
                    "mixture": {"method": "l-moe", "num_experts": 2, "experts": {"rank": 4, "dropout": 0.1}}}
        self.run_well("train", self.recipe("whole", gradient_accumulation_steps=2, **settings))

        recipe = self.recipe("two-one", gradient_accumulation_steps=1, **settings)
        outcomes = self.break_off("two-one", start_workers(["train", recipe]), signal.SIGINT)
        self.assertEqual([code for code, _, _ in outcomes], [130, 130], outcomes)
        self.assertEqual(len(list((self.folder / "two-one" / "checkpoints").glob("step-*"))), 1)
        self.assertLess(len(losses(self.folder / "two-one")), 150)
        self.run_well("resume", self.folder / "two-one")
        self.assert_close("two-one", "whole", tolerance=1e-3)

        recipe = self.recipe("one-two", gradient_accumulation_steps=2, **settings)
        command = [PROGRAM, "train", str(recipe)]
        alone = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
        self.assertEqual(self.break_off("one-two", [alone], signal.SIGINT)[0][0], 130)
        done = subprocess.run([*TORCHRUN, PROGRAM, "resume", str(self.folder / "one-two")], capture_output=True, text=True,
                              timeout=300, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("trained 150 steps"), 1, done.stdout)
        self.assert_close("one-two", "whole", tolerance=1e-3)

    def test_torchrun_trains_one_run(self):
        done = subprocess.run([*TORCHRUN, PROGRAM, "train", str(self.recipe("torchrun", max_steps=3))], capture_output=True,
                              text=True, timeout=300, cwd=ROOT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("trained 3 steps"), 1, done.stdout)
        self.assertIn("sizes and hashes", self.run_well("inspect", self.folder / "torchrun"))

    def test_a_killed_worker_ends_the_run_and_the_rest_can_be_resumed(self):
        recipe = self.recipe("killed", max_steps=400, save_steps=1, logging_steps=1)
        first, second = self.break_off("killed", start_workers(["train", recipe]), signal.SIGKILL)
        self.assertEqual((first[0], second[0]), (1, -signal.SIGKILL), first)
        errors = [line for line in first[2].splitlines() if "error" in line]
        self.assertEqual(len(errors), 1, first[2])
        self.assertIn("lost another worker", errors[0])
        self.assertIn("the last checkpoint is", errors[0])
        last = pathlib.Path(errors[0].rsplit(" ", 1)[1])
        self.assertTrue((last / "manifest.json").exists())
        for count in (1, 2):
            with self.subTest(f"resumed with {count}"):
                outcomes = self.break_off("killed", start_workers(["resume", self.folder / "killed"], count), signal.SIGINT,
                                          after=len(log_lines(self.folder / "killed")) + 5)
                self.assertEqual([code for code, _, _ in outcomes], [130] * count, outcomes)
                self.assertIn(f"resuming after step {int(last.name.removeprefix('step-'))}", outcomes[0][2])
                last = max((self.folder / "killed" / "checkpoints").glob("step-*"))
        steps = [step for step, _ in losses(self.folder / "killed")]
        self.assertEqual(steps, list(range(1, len(steps) + 1)), "no step is lost or done twice")

    def test_mistakes_are_told_once(self):
        recipe = self.recipe("mistakes", max_steps=3)
        for code, text, *arguments in [
            (2, "has another recipe, base or data than worker 0", ["train", recipe], 3, ["train", recipe, "seed=8"]),
            (2, "unknown key", ["train", recipe, "nonsense=1"]),
            (1, "loss_watchdog_threshold", ["train", recipe, "loss_watchdog_threshold=0.001", "loss_watchdog_patience=1"]),
            (2, "is not empty", ["train", recipe, "output_dir=" + self.full_folder()]),
        ]:
            with self.subTest(text):
                outcomes = finish(start_workers(*arguments))
                self.assertEqual({outcome[0] for outcome in outcomes}, {code}, outcomes)
                errors = [line for _, _, stderr in outcomes for line in stderr.splitlines() if "lmoe: error" in line]
                self.assertEqual(len(errors), 1, errors)
                self.assertIn(text, errors[0])

    def full_folder(self):
        (self.folder / "full" / "checkpoints" / "step-000001").mkdir(parents=True)
        return str(self.folder / "full")

    def test_more_workers_than_micro_batches_are_refused(self):
        self.run_well("train", self.recipe("narrow", max_steps=3))
        (self.folder / "narrow" / "manifest.json").unlink()
        outcomes = finish(start_workers(["resume", self.folder / "narrow"]))
        self.assertEqual([code for code, _, _ in outcomes], [2, 2], outcomes)
        self.assertIn("2 workers for the 1 micro-batches of a step", outcomes[0][2])


if __name__ == "__main__":
    unittest.main()
