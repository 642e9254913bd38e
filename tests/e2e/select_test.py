"""lmoe select: adapters and data for a task of a few samples, and the mixture they make."""

import itertools
import json
import signal
import subprocess
import unittest

import tiny
from program import PROGRAM, ProgramTest, lmoe


class Select(ProgramTest):
    """A bank of six: LoRAs trained on words and on digits, with two seeds each, one of them twice, and one hardly trained."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.samples = cls.tasks / "digits" / "train.jsonl"
        cls.bank = []
        for name, data, steps, seed in (("words", "words", 30, 1), ("digits", "digits", 60, 2), ("words2", "words", 30, 3),
                                        ("digits2", "digits", 60, 4), ("begun", "digits", 1, 5)):
            recipe = cls.recipe(name, mixture={"method": "lora", "experts": {"rank": 4}, "target_modules": ["q_proj", "v_proj"]},
                                datasets=[{"path": str(cls.tasks / data)}], max_steps=steps, seed=seed, plot_loss=False)
            done = lmoe("train", recipe)
            assert done.returncode == 0, done.stderr
            cls.bank.append(f"{name}={cls.folder / name / 'experts' / 'expert0'}")
        cls.bank.insert(2, f"copy={cls.folder / 'digits' / 'experts' / 'expert0'}")

    def adapters(self, *more):
        return ["select", "adapters", *self.bank, "--base", self.base, "--data", self.samples, *more]

    def chosen(self, *more):
        return json.loads(self.run_well(*self.adapters("--json", *more)))

    def test_adapters_are_those_that_the_ranks_name(self):
        found = self.chosen("--preselect", 5, "--count", 3)
        adapters = {one["name"]: one for one in found["adapters"]}
        self.assertEqual(list(adapters), ["words", "digits", "copy", "words2", "digits2", "begun"])
        for key, rank in (("log_perplexity", "perplexity_rank"), ("accuracy", "accuracy_rank")):
            sign = 1 if key == "log_perplexity" else -1
            order = sorted(adapters.values(), key=lambda one: sign * one[key])  # stable, as the ranks are
            self.assertEqual([one[rank] for one in order], [1, 2, 3, 4, 5, 6])
        self.assertEqual(adapters["digits"]["log_perplexity"], adapters["copy"]["log_perplexity"])
        self.assertLess(adapters["digits"]["log_perplexity"], adapters["words"]["log_perplexity"])

        def rank_sum(name):
            return adapters[name]["perplexity_rank"] + adapters[name]["accuracy_rank"]

        few = found["preselected"]
        self.assertEqual(len(few), 5)
        self.assertEqual(sorted(map(rank_sum, few)), sorted(map(rank_sum, adapters))[:5])
        place = {name: i for i, name in enumerate(few)}
        self.assertAlmostEqual(found["cosines"][place["digits"]][place["copy"]], 1, places=9)
        subsets = [(names, sum(found["cosines"][place[a]][place[b]] for a, b in itertools.combinations(names, 2)) / 3)
                   for names in itertools.combinations(few, 3)]
        subsets.sort(key=lambda one: one[1])
        totals = {names: sum(map(rank_sum, names)) + i + 1 for i, (names, _) in enumerate(subsets)}
        self.assertEqual({tuple(one["adapters"]): one["total"] for one in found["subsets"]}, totals)
        self.assertEqual(totals[tuple(found["chosen"])], min(totals.values()))

    def test_scores_are_those_of_eval(self):
        found = {one["name"]: one for one in self.chosen("--count", 2, "--whole-answers")["adapters"]}
        result = json.loads(self.run_well("eval", self.folder / "words", "--data", self.samples, "metric=exact_match",
                                          "ablation_records=0", "--dtype", "float32", "--json"))
        self.assertAlmostEqual(found["words"]["accuracy"], result["tasks"][0]["score"])
        by_length = {one["name"]: one for one in self.chosen("--count", 2)["adapters"]}
        for name, one in found.items():
            self.assertGreater(one["log_perplexity"], by_length[name]["log_perplexity"])

    def test_the_recipe_trains_the_chosen_ones_on_samples_and_chosen_data(self):
        open_data, recipe = self.folder / "open.jsonl", self.folder / "k-shot.yaml"
        self.run_well("select", "data", self.tasks / "words", self.tasks / "digits", "--like", self.samples, "--base", self.base,
                      "--count", 30, "--threshold", 0.999, "--out", open_data)
        shown = self.run_well(*self.adapters("--count", 2, "--open", open_data, "--out", recipe))
        self.assertIn(f"recipe: {recipe}", shown)
        self.assertEqual(shown.count("chosen\n"), 2)
        run = self.folder / "mixture"
        self.run_well("train", recipe, f"output_dir={run}", "max_steps=3", "sequence_len=64", "bf16=false", "plot_loss=false")
        effective = json.loads((run / "config_effective.json").read_text())
        self.assertEqual([entry["path"] for entry in effective["datasets"]], [str(self.samples), str(open_data)])
        self.assertEqual(len(list((run / "experts").iterdir())), 2)
        again = lmoe(*self.adapters("--count", 2, "--out", recipe))
        self.assertEqual(again.returncode, 2)
        self.assertIn("is there already", again.stderr)

    def test_data_most_like_the_samples_without_copies(self):
        words, out = self.tasks / "words" / "train.jsonl", self.folder / "like.jsonl"  # each of its five records four times
        done = json.loads(self.run_well("select", "data", words, self.samples, "--like", f"{words}#2", "--base", self.base,
                                        "--count", 8, "--threshold", 0.99999, "--out", out, "--json"))
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        source = [json.loads(line) for line in words.read_text().splitlines()]
        self.assertCountEqual(lines, source[:2])
        self.assertEqual(done["similar"], 8)
        self.assertEqual([source[one["line"] - 1] for one in done["records"]], lines)
        for one in done["records"]:
            self.assertAlmostEqual(one["cosine"], 1, places=5)
            self.assertEqual(one["file"], str(words))
            self.assertEqual(source[one["line"] - 1], source[one["sample_line"] - 1])

    def test_an_interrupt_leaves_nothing_behind(self):
        many = tiny.write_lines(self.folder / "many.jsonl", [{"prompt": f"say {i} ", "completion": "x" * 40} for i in range(20000)])
        out = self.folder / "cut.jsonl"
        command = ["select", "data", many, "--like", self.samples, "--base", self.base, "--out", out]
        with subprocess.Popen([PROGRAM, *map(str, command)], stderr=subprocess.PIPE, text=True) as process:
            while "embedding open data" not in process.stderr.readline():
                self.assertIsNone(process.poll())
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("nothing was written", errors)
        self.assertEqual(list(self.folder.glob("cut*")), [])

    def test_bad_input(self):
        out = self.folder / "never.jsonl"
        other = self.folder / "other"
        tiny.write_lines(other / "text.jsonl", [{"text": "to be"}])
        preference = tiny.write_lines(other / "pairs.jsonl", [{"prompt": "a", "chosen": "b", "rejected": "c"}])
        data = ["select", "data", "--base", self.base, "--out", out, "--like", self.samples]
        for command, words in (
            (["select"], ["what"]),
            (["select", "adapter"], ["adapter"]),
            (self.adapters("--count", 7), ["given 7", "2 to 6"]),
            (self.adapters("--count", 1), ["given 1"]),
            (self.adapters("--preselect", 7), ["given 7", "2 to 6"]),
            (self.adapters("--open", self.samples), ["--open", "--out"]),
            (self.adapters("--open", other / "none.jsonl", "--out", out), ["none.jsonl"]),
            ([*self.adapters(), self.bank[0]], ["two adapters are called words", "NAME="]),
            ([*self.adapters(), f"a b={self.folder / 'words' / 'experts' / 'expert0'}"], ["a b"]),
            ([*self.adapters(), self.folder / "nowhere"], ["no such adapter", "nowhere"]),
            ([*data, self.samples, other / "text.jsonl"], ["two shapes", "given text", "digits"]),
            ([*data[:-2], self.samples, "--like", preference], ["given preference"]),
            ([*data, preference], ["given preference"]),
            ([*data, other / "none.jsonl"], ["none.jsonl"]),
            ([*data, self.samples, "--count", 0], ["count"]),
            ([*data, self.samples, "--threshold", 1.5], ["threshold"]),
        ):
            done = lmoe(*command)
            self.assertEqual(done.returncode, 2, f"{command}\n{done.stdout}\n{done.stderr}")
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertFalse(out.exists())
        text_samples = ["select", "adapters", *self.bank, "--base", self.base, "--data", other / "text.jsonl"]
        done = lmoe(*text_samples)
        self.assertEqual(done.returncode, 2)
        self.assertIn("expected prompts with answers", done.stderr)


if __name__ == "__main__":
    unittest.main()
