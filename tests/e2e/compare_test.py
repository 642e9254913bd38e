"""lmoe compare: equal sizes, equal tokens, the best rate of each method, and going on after interruptions and failures."""

import json
import signal
import subprocess
import time
import unittest

from program import PROGRAM, ProgramTest, lmoe, log_lines


def seconds_of(path):
    return path.stat().st_mtime_ns


class Compare(ProgramTest):
    def study(self, name, *settings, code=0, **recipe):
        recipe = {"max_steps": 6, "val_set_size": 0.2} | recipe
        done = lmoe("compare", self.recipe(name, **recipe), *settings)
        self.assertEqual(done.returncode, code, f"{settings}\n{done.stdout}\n{done.stderr}")
        folder = self.folder / f"{name}-compare"
        result = json.loads((folder / "compare.json").read_text()) if (folder / "compare.json").exists() else None
        return done, folder, result

    def test_methods_of_one_size_at_their_best_rates(self):
        settings = ("methods=lora,l-moe,mola", "lr=1e-4,2e-2", "lora:rank=48", "mola:experts.count_by_layer=[1, 2]",
                    "mola:experts.count=2", "mola:select.k=1")
        done, folder, result = self.study("fight", *settings)
        self.assertEqual([m["method"] for m in result["methods"]], ["lora", "l-moe", "mola"])
        self.assertEqual(result["chosen_by"], "validation loss")
        lora, l_moe, mola = result["methods"]
        self.assertEqual((lora["rank"], lora["difference"]), (48, 0))
        for method in (l_moe, mola):
            self.assertLess(abs(method["difference"]), 0.15)
            self.assertNotEqual(method["trained_parameters"], lora["trained_parameters"])
            self.assertEqual(method["tokens"], lora["tokens"])
        self.assertNotIn("router", lora)
        self.assertEqual([len(weights) for weights in mola["router"]["usage"][0]["weights"]], [2, 2])
        for method in result["methods"]:
            values = {point["lr"]: point["value"] for point in method["curve"]}
            self.assertEqual(set(values), {1e-4, 2e-2})
            self.assertEqual(method["learning_rate"], min(values, key=values.get))
            self.assertTrue(method["at_edge"])
            self.assertEqual([task["task"] for task in method["tasks"]], ["words", "digits"])
            self.assertGreater(method["seconds_per_step"], 0)
            self.assertGreater(method["peak_memory_bytes"], 1e7)
            run = folder / f"{method['method']}-lr2e-2-seed7"
            self.assertEqual(log_lines(run)[-1]["eval_loss"], values[2e-2])
            shown = self.run_well("train", folder / "recipes" / f"{run.name}.yaml", "output_dir=/dev/null/x", "--dry-run")
            self.assertIn(f"parameters: {method['trained_parameters']} trained", shown)
            self.assertRegex(done.stdout, rf"\| {method['method']} \| {method['experts']} × {method['rank']} \| ")
        page = (folder / "compare.html").read_text()
        self.assertIn("comparisonSections", page)
        self.assertIn("mola", page)

    def test_finished_runs_are_kept_and_seeds_can_be_added(self):
        _, folder, first = self.study("more", "methods=lora", "lr=2e-2")
        run = folder / "lora-lr2e-2-seed7"
        before = {name: seconds_of(run / name) for name in ("manifest.json", "eval.json")}
        _, _, second = self.study("more", "methods=lora", "lr=2e-2", "seeds=2", "jobs=2")
        self.assertEqual({name: seconds_of(run / name) for name in before}, before)
        first, second = first["methods"][0], second["methods"][0]
        self.assertEqual([seed["seed"] for seed in second["curve"][0]["seeds"]], [7, 8])
        self.assertEqual(second["curve"][0]["seeds"][0], first["curve"][0]["seeds"][0])
        values = [seed["value"] for seed in second["curve"][0]["seeds"]]
        self.assertAlmostEqual(second["curve"][0]["value"], sum(values) / 2)
        self.assertEqual(len(second["tasks"][0]["seeds"]), 2)

    def test_without_validation_the_first_task_chooses(self):
        done, _, result = self.study("plain", "methods=lora", "lr=1e-9,2e-2", val_set_size=0, max_steps=30)
        (method,) = result["methods"]
        self.assertEqual(result["chosen_by"], "exact_match of words")
        values = {point["lr"]: point["value"] for point in method["curve"]}
        self.assertEqual(method["learning_rate"], max(values, key=values.get))
        self.assertEqual(method["tasks"][0]["score"], values[method["learning_rate"]])
        self.assertIn("flatters", done.stdout)

    def test_a_failure_is_reported_and_the_rest_goes_on(self):
        folder = self.folder / "failing-compare" / "lora-lr2e-2-seed7"
        folder.mkdir(parents=True)
        (folder / "foreign.txt").write_text("mine")
        done, _, result = self.study("failing", "methods=lora,l-moe", "lr=2e-2", code=1)
        self.assertEqual([failure["run"] for failure in result["failures"]], ["lora-lr2e-2-seed7"])
        self.assertIn("foreign.txt", result["failures"][0]["error"])
        self.assertIn("foreign.txt", done.stdout)
        lora, l_moe = result["methods"]
        self.assertIsNone(lora["learning_rate"])
        self.assertEqual(l_moe["learning_rate"], 2e-2)
        self.assertEqual((folder / "foreign.txt").read_text(), "mine")

    def test_an_interrupted_study_goes_on_and_ends_the_same(self):
        settings = ("methods=l-moe", "lr=2e-2")
        _, _, whole = self.study("whole", *settings, max_steps=40)
        recipe = self.recipe("cut", max_steps=40, val_set_size=0.2)
        run = self.folder / "cut-compare" / "l-moe-lr2e-2-seed7"
        process = subprocess.Popen([PROGRAM, "compare", recipe, *settings], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while not (run / "log.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, said)
        self.assertIn("the same command goes on", said)
        self.assertFalse((run / "manifest.json").exists() and len(log_lines(run)) == 40)
        _, _, cut = self.study("cut", *settings, max_steps=40)
        self.assertEqual(cut["methods"][0]["curve"], whole["methods"][0]["curve"])
        self.assertEqual(cut["methods"][0]["tasks"], whole["methods"][0]["tasks"])

    def test_bad_input(self):
        recipe = self.recipe("bad", max_steps=2)
        bare = self.recipe("bare", eval_datasets=[])
        for settings, words in (
            (["lr=1e-3"], ["methods"]),
            (["methods=lora,l-mo"], ["l-mo", "l-moe"]),
            (["methods=lora,lora"], ["lora", "twice"]),
            (["methods=lora", "lr=1e-3,fast"], ["lr", "fast"]),
            (["methods=lora", "lr=-1"], ["lr", "-1"]),
            (["methods=lora", "seeds=0"], ["seeds"]),
            (["methods=lora", "mixture.select.k=1"], ["mixture.select.k", "METHOD:key=value"]),
            (["methods=lora", "mola:select.k=1"], ["mola"]),
            (["methods=lora,l-moe", "l-moe:rank=3"], ["l-moe", "rank"]),
            (["methods=lora", "lora:rnak=3"], ["rnak", "rank"]),
            (["methods=lora", "learning_rat=1"], ["learning_rat"]),
        ):
            with self.subTest(settings):
                done = lmoe("compare", recipe, *settings)
                self.assertEqual(done.returncode, 2, done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)
                self.assertFalse((self.folder / "bad-compare").exists())
        done = lmoe("compare", bare, "methods=lora")
        self.assertEqual(done.returncode, 2)
        self.assertIn("eval_datasets", done.stderr)

    def test_another_study_in_the_same_folder_is_refused(self):
        self.study("same", "methods=lora", "lr=2e-2", max_steps=2)
        done = lmoe("compare", self.recipe("same", max_steps=3, val_set_size=0.2), "methods=lora", "lr=2e-2")
        self.assertEqual(done.returncode, 2)
        for word in ("max_steps", "out="):
            self.assertIn(word, done.stderr)


if __name__ == "__main__":
    unittest.main()
