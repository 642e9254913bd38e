"""Ctrl-C in the middle of a run, then resume: the same bytes as a run that nobody disturbed."""

import signal
import subprocess
import time
import unittest

from program import PROGRAM, ROOT, ProgramTest, lmoe, log_lines

STEPS = 300


def learned(run):
    files = [run / "router.safetensors", *sorted(run.glob("experts/*/*.safetensors"))]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def losses(run):
    return [(line["current_steps"], line["loss"]) for line in log_lines(run) if "loss" in line]


class Interrupt(ProgramTest):
    def interrupt_after(self, recipe, run, steps):
        command = [PROGRAM, "train", str(recipe)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
            log, deadline = run / "log.jsonl", time.monotonic() + 120
            while not (log.exists() and len(log.read_text().splitlines()) >= steps):
                self.assertIsNone(process.poll(), "the run ended before it could be interrupted")
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        return process.returncode, errors

    def test_resumed_equals_undisturbed(self):
        settings = {"max_steps": STEPS, "val_set_size": 0.1, "gradient_accumulation_steps": 2, "save_steps": 50}
        self.assertEqual(lmoe("train", self.recipe("whole", **settings)).returncode, 0)

        run = self.folder / "broken"
        code, errors = self.interrupt_after(self.recipe("broken", **settings), run, steps=60)
        self.assertEqual(code, 130, errors)
        self.assertIn(f"lmoe resume {run}", errors)
        self.assertLess(len(log_lines(run)), STEPS)
        self.assertNotEqual(learned(run), learned(self.folder / "whole"))
        self.assertIn("sizes and hashes", self.run_well("inspect", run))

        self.run_well("resume", run)
        self.assertEqual(learned(run), learned(self.folder / "whole"))
        self.assertEqual(losses(run), losses(self.folder / "whole"))

    def test_a_finished_run_has_nothing_to_resume_and_stays_as_it_is(self):
        recipe = self.recipe("done", max_steps=3)
        self.run_well("train", recipe)
        before = learned(self.folder / "done")
        self.run_well("resume", self.folder / "done")
        self.assertEqual(learned(self.folder / "done"), before)


if __name__ == "__main__":
    unittest.main()
