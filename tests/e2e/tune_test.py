"""The table of top-k products: measured, refused where it is malformed, and kept by the runs that began with it."""

import os
import signal
import subprocess
import unittest

from program import PROGRAM, ROOT, ProgramTest, lmoe, log_lines

TOP_K = {"method": "l-moe", "num_experts": 6, "experts": {"rank": 4}, "select": {"kind": "top_k", "k": 2}, "normalize": "renormalize"}
DENSE = "float32 2 4 32 32 64 never\n"
CHOSEN_ALONE = "float32 2 4 32 32 64 3\n"


class Tune(ProgramTest):
    def table(self, text):
        """The environment of a user whose own table says `text`."""
        home = self.folder / f"config-{abs(hash(text))}"
        path = home / "lmoe" / "top_k_table.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return os.environ | {"XDG_CONFIG_HOME": str(home)}, path

    def learned(self, name):
        run = self.folder / name
        return [path.read_bytes() for path in [run / "router.safetensors", *sorted(run.glob("experts/*/*.safetensors"))]]

    def train(self, name, table, **settings):
        env, _ = self.table(table)
        settings = {"mixture": TOP_K, "bf16": False, "max_steps": 12, "save_steps": 6, "save_total_limit": 9} | settings
        done = lmoe("train", self.recipe(name, **settings), env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_a_run_goes_on_with_the_table_it_began_with(self):
        done = self.train("dense", DENSE)
        self.assertIn("top-k products by the table ", done.stderr)
        self.train("chosen", CHOSEN_ALONE)
        self.assertNotEqual(self.learned("dense"), self.learned("chosen"), "the tables change the last bits")
        for (_, one), (_, other) in zip(self.losses("dense"), self.losses("chosen")):
            self.assertLess(abs(one - other), 1e-4 * one)
        self.assertEqual((self.folder / "dense" / "top_k_table.txt").read_text(), DENSE)

        self.train("broken", CHOSEN_ALONE)
        run = self.folder / "broken"
        for name in ("manifest.json", "checkpoints/step-000012/manifest.json"):
            (run / name).unlink()
        env, _ = self.table(DENSE)
        resumed = lmoe("resume", run, env=env)
        self.assertEqual(resumed.returncode, 0, resumed.stderr)
        self.assertIn("resuming after step 6", resumed.stderr)
        self.assertIn("by the table of the checkpoint", resumed.stderr)
        self.assertEqual(self.learned("broken"), self.learned("chosen"))

    def losses(self, name):
        return [(line["current_steps"], line["loss"]) for line in log_lines(self.folder / name)]

    def test_other_mixtures_keep_no_table(self):
        self.train("without", DENSE, mixture={"method": "l-moe", "num_experts": 2, "experts": {"rank": 4}}, max_steps=2)
        self.assertFalse((self.folder / "without" / "top_k_table.txt").exists())

    def test_a_malformed_table_is_refused_with_file_and_line(self):
        env, path = self.table("# mine\nfloat32 two\n")
        done = lmoe("train", self.recipe("refused", mixture=TOP_K, max_steps=2), env=env)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(f"{path}:2: given \"float32 two\"", done.stderr)
        self.assertFalse((self.folder / "refused").exists())

    def test_tuning_that_is_interrupted_leaves_the_old_table(self):
        env, path = self.table(DENSE)
        with subprocess.Popen([PROGRAM, "bench", "--tune"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                              env=env) as process:
            self.assertIn("old choice -> new one", process.stdout.readline())
            self.assertIn("float32 1 2 576 1536 64: never -> ", process.stdout.readline())
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("the table stays as it was", errors)
        self.assertEqual(path.read_text(), DENSE)
        self.assertEqual([entry.name for entry in path.parent.iterdir()], [path.name])

    def test_tuning_begins_anew_where_the_old_table_cannot_be_read(self):
        env, path = self.table("# mine\nfloat32 two\n")
        with subprocess.Popen([PROGRAM, "bench", "--tune"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
                              env=env) as process:
            self.assertIn("old choice -> new one", process.stdout.readline())
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn(f"{path}:2: given \"float32 two\"", errors)
        self.assertIn("compared with the built-in table", errors)

    def test_what_it_cannot_do_is_said_before_anything_is_measured(self):
        for code, text, *arguments in [
            (2, "expected `lmoe bench train` or `lmoe bench --tune`", "bench"),
            (2, "excludes", "bench", "train", "--tune"),
            (2, "excludes", "bench", "--tune", "--rows", "2"),
            (2, "requires", "bench", "train", "--output", "x"),
            (2, "--tune reads no recipe: given seed=3", "bench", "--tune", "seed=3"),
            (2, "is a folder", "bench", "--tune", "--output", str(self.folder)),
        ]:
            with self.subTest(arguments):
                done = lmoe(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(text, done.stderr)


if __name__ == "__main__":
    unittest.main()
