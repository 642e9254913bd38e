"""What is kept of documents in a file: the same run, nothing left behind, and a line where the disk is full."""

import os
import resource
import signal
import subprocess
import time
import unittest

from program import PROGRAM, ROOT, ProgramTest, files_of, lmoe

UPPER = {"method": "l-moe", "num_experts": 2, "experts": {"rank": 4}, "layers_to_transform": [1]}


def learned(run):
    return [path.read_bytes() for path in [run / "router.safetensors", *sorted(run.glob("experts/*/*.safetensors"))]]


class DocumentCache(ProgramTest):
    def train(self, name, **how):
        settings = {"mixture": UPPER, "max_steps": 60, "logging_steps": 10} | how.pop("settings", {})
        done = lmoe("train", self.recipe(name, **settings), **how)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stderr, learned(self.folder / name)

    def test_a_file_changes_nothing_but_where_it_is_kept(self):
        _, computed = self.train("computed", settings={"frozen_prefix_cache_mb": 0})
        told, kept = self.train("kept", settings={"frozen_prefix_cache_mb": 0, "document_cache_file_mb": 64})
        self.assertRegex(told, r"kept what enters layer 1 .*: \d+ documents, .* MB of memory, .* MB of the file\n")
        self.assertEqual(kept, computed)
        self.assertEqual(set(files_of(self.folder / "kept")), set(files_of(self.folder / "computed")))

        def files_of_at_most_a_megabyte():
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        # As in bad_input_test: a file that may not grow stands for a full disk.
        told, full = self.train("full", settings={"frozen_prefix_cache_mb": 0, "document_cache_file_mb": 64},
                                preexec_fn=files_of_at_most_a_megabyte)
        self.assertEqual(told.count("warning: the file of kept documents in "), 1, told)
        self.assertIn("cannot grow: File too large; those that do not fit are computed each time", told)
        self.assertEqual(full, computed)

    def test_ctrl_c_leaves_nothing_in_the_folder(self):
        folder = self.folder / "scratch"
        folder.mkdir()
        recipe = self.recipe("broken", mixture=UPPER, max_steps=100000, logging_steps=1, frozen_prefix_cache_mb=0,
                             document_cache_file_mb=64, document_cache_dir=str(folder))
        with subprocess.Popen([PROGRAM, "train", str(recipe)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              cwd=ROOT, env=os.environ) as process:
            log, deadline = self.folder / "broken" / "log.jsonl", time.monotonic() + 120
            while not (log.exists() and len(log.read_text().splitlines()) >= 5):
                self.assertIsNone(process.poll())
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, errors)
        self.assertEqual(list(folder.iterdir()), [])

    def test_a_folder_that_is_not_there_ends_the_run_before_it_begins(self):
        done = lmoe("train", self.recipe("nowhere", mixture=UPPER, document_cache_file_mb=64, document_cache_dir=str(self.folder / "gone")))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(f"cannot make a file in {self.folder / 'gone'}: No such file or directory", done.stderr)
        self.assertFalse((self.folder / "nowhere").exists())


if __name__ == "__main__":
    unittest.main()
