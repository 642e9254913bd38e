"""lmoe experts: a trained mixture gets other experts without training, as a run that every verb understands."""

import json
import unittest

from program import ProgramTest, files_of, lmoe, log_lines


class Experts(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, settings in {"run": {}, "other": {"seed": 9}}.items():
            done = lmoe("train", cls.recipe(name, **settings), "plot_loss=false")
            if done.returncode != 0:
                raise AssertionError(done.stderr)
        cls.run_folder, cls.other = cls.folder / "run", cls.folder / "other"
        cls.adapter = cls.other / "experts" / "expert0"
        cls.words = cls.tasks / "words" / "test.jsonl"

    def score(self, run):
        result = self.run_well("eval", run, "--data", self.words, "metric=perplexity", "ablation_records=0", "--json")
        return json.loads(result)["tasks"][0]["score"]

    def names(self, run):
        return [expert["name"] for expert in json.loads(self.run_well("experts", run, "list", "--json"))]

    def test_list(self):
        shown = self.run_well("experts", self.run_folder, "list")
        self.assertRegex(shown, r"expert0 +lora +4")
        self.assertEqual(self.names(self.run_folder), ["expert0", "expert1"])

    def test_add_then_remove_gives_the_same_scores(self):
        before = files_of(self.run_folder)
        larger, again = self.folder / "larger", self.folder / "again"
        shown = self.run_well("experts", self.run_folder, "add", f"new={self.adapter}", "--data", self.words, "--out", larger)
        for text in ("before", "after", f"run: {larger}"):
            self.assertIn(text, shown)
        self.assertEqual(self.names(larger), ["expert0", "expert1", "new"])
        self.assertIn("sizes and hashes", json.loads(self.run_well("inspect", larger, "--json"))["manifest"])
        self.assertEqual((larger / "base.json").read_bytes(), (self.run_folder / "base.json").read_bytes())
        self.assertEqual(json.loads((larger / "config_effective.json").read_text())["mixture"]["experts"]["count"], 3)
        self.run_well("experts", larger, "remove", "new", "--out", again)
        self.assertEqual(self.score(again), self.score(self.run_folder))
        for expert in ("expert0", "expert1"):
            for name in ("adapter_config.json", "adapter_model.safetensors"):
                path = f"experts/{expert}/{name}"
                self.assertEqual((again / path).read_bytes(), (self.run_folder / path).read_bytes())
        self.assertEqual((again / "router.safetensors").read_bytes(), (self.run_folder / "router.safetensors").read_bytes())
        self.assertLessEqual(set(before), set(files_of(self.run_folder)))

    def test_scores_as_json_are_those_of_eval(self):
        larger = self.folder / "scored"
        shown = self.run_well("experts", self.run_folder, "add", f"new={self.adapter}", "--data", self.words, "--out", larger, "--json")
        before, after = json.loads(shown)["results"]
        self.assertEqual((before["model"], after["model"]), ("before", "after"))
        scored = json.loads(self.run_well("eval", larger, "--data", self.words, "--json"))["tasks"][0]["score"]
        self.assertEqual(after["tasks"][0]["score"], scored)

    def test_without_data_the_new_rows_are_zeros_and_that_is_said(self):
        done = lmoe("experts", self.run_folder, "add", f"new={self.adapter}", "--out", self.folder / "zeros")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("zeros", done.stderr)

    def test_replace_changes_one_folder_only(self):
        out = self.folder / "replaced"
        self.run_well("experts", self.run_folder, "replace", f"expert1={self.adapter}", "--out", out)
        name = "adapter_model.safetensors"
        self.assertEqual((out / "experts/expert1" / name).read_bytes(), (self.adapter / name).read_bytes())
        self.assertEqual((out / "experts/expert0" / name).read_bytes(),
                         (self.run_folder / "experts/expert0" / name).read_bytes())

    def test_a_frozen_expert_stays_when_training_goes_on(self):
        self.run_well("experts", self.run_folder, "freeze", "expert0")
        frozen = self.folder / "run-freeze-expert0"
        self.assertRegex(self.run_well("experts", frozen, "list"), r"expert0 +lora +4 +frozen")
        on = self.folder / "on"
        self.run_well("train", frozen / "config_effective.json", f"init_from={frozen}", f"output_dir={on}", "max_steps=3",
                      "plot_loss=false")
        name = "adapter_model.safetensors"
        self.assertEqual((on / "experts/expert0" / name).read_bytes(), (self.run_folder / "experts/expert0" / name).read_bytes())
        self.assertNotEqual((on / "experts/expert1" / name).read_bytes(), (self.run_folder / "experts/expert1" / name).read_bytes())
        self.assertLess(log_lines(on)[0]["loss"], 0.7 * log_lines(self.run_folder)[0]["loss"])

    def test_refit_sends_each_kind_of_document_to_one_expert(self):
        digits = self.tasks / "digits" / "test.jsonl"
        out = self.folder / "refit"
        done = lmoe("experts", self.run_folder, "refit", "--data", self.words, "--data", digits, "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        for text in ("expert0", "words", "digits"):
            self.assertIn(text, done.stderr)
        for text in ("before", "after", f"run: {out}"):
            self.assertIn(text, done.stdout)
        spec = json.loads((out / "config_effective.json").read_text())["mixture"]
        self.assertEqual((spec["select"]["kind"], spec["select"]["k"]), ("top_k", 1))
        for expert in ("expert0", "expert1"):
            name = f"experts/{expert}/adapter_model.safetensors"
            self.assertEqual((out / name).read_bytes(), (self.run_folder / name).read_bytes())
        self.assertGreater(self.score(out), 0)
        for arguments, word in ((["refit"], "--data"), (["refit", "expert0", "--data", self.words], "takes no name"),
                                (["remove", "expert0", "--ridge", "1"], "--ridge")):
            done = lmoe("experts", self.run_folder, *arguments, "--out", self.folder / "no")
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(word, done.stderr)

    def test_refit_with_references_can_be_scored_and_trained_on(self):
        digits = self.tasks / "digits" / "test.jsonl"
        out, on = self.folder / "nearest", self.folder / "nearest-on"
        nearest = ["refit", "--net", "nearest", "--data", self.words, "--data", digits]
        done = lmoe("experts", self.run_folder, *nearest, "--references", "200", "--neighbours", "8", "--temperature", "20", "--heads", "2", "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        for text in ("before", "after", f"run: {out}"):
            self.assertIn(text, done.stdout)
        gate = json.loads((out / "config_effective.json").read_text())["mixture"]["gate"]
        self.assertEqual((gate["net"], gate["neighbours"], gate["temperature"], gate["heads"]), ("nearest", 8, 20, 2))
        self.assertTrue(0 < gate["references"] <= 200)
        self.assertGreater(self.score(out), 0)
        arguments = [out / "config_effective.json", "max_steps=2", "plot_loss=false"]
        done = lmoe("train", *arguments, f"output_dir={on}")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("empty memory", done.stderr)
        done = lmoe("train", *arguments, f"output_dir={on}", f"init_from={out}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((on / "router.safetensors").read_bytes(), (out / "router.safetensors").read_bytes())
        never = self.folder / "never"
        for arguments, word in (([*nearest, "--ridge", "1"], "--ridge cannot act with --net nearest"),
                                (["refit", "--heads", "2", "--data", self.words], "--heads cannot act with --net linear"),
                                (["remove", "expert0", "--net", "nearest"], "--net cannot act with remove"),
                                ([*nearest, "--references", "4"], "references"),
                                ([*nearest, "--references", "100", "--neighbours", "101"], "neighbours"),
                                ([*nearest, "--heads", "7"], "heads")):
            with self.subTest(word):
                done = lmoe("experts", self.run_folder, *arguments, "--out", never)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(word, done.stderr)
                self.assertFalse(never.exists())

    def test_bad_input(self):
        out = self.folder / "never"
        adapter = f"new={self.adapter}"
        self.recipe("lora")
        plain = self.folder / "plain"
        done = lmoe("train", self.recipe("plain", mixture={"method": "lora", "experts": {"rank": 4}}, max_steps=1), "plot_loss=false")
        self.assertEqual(done.returncode, 0, done.stderr)
        for arguments, words in (
            (["run", "remove"], ["remove"]),
            (["run", "shrink", "expert0"], ["shrink"]),
            (["run", "remove", "expert2"], ["expert2", "nearest"]),
            (["run", "add", "new"], ["NAME=ADAPTER"]),
            (["run", "add", f"expert0={self.adapter}"], ["expert0", "already"]),
            (["run", "add", f"new={self.folder / 'none'}"], ["none"]),
            (["run", "add", f"a/b={self.adapter}"], ["a/b"]),
            (["run", "remove", "expert0", "--samples", str(self.words)], ["--samples"]),
            (["plain", "add", adapter], ["no router"]),
            (["none", "list"], ["none"]),
        ):
            with self.subTest(arguments):
                done = lmoe("experts", self.folder / arguments[0], *arguments[1:], "--out", out)
                self.assertEqual(done.returncode, 2, done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)
                self.assertFalse(out.exists())
        self.assertTrue(plain.exists())
        done = lmoe("experts", self.run_folder, "remove", "expert0", "--out", self.other)
        self.assertEqual(done.returncode, 2)
        self.assertIn("exists", done.stderr)


if __name__ == "__main__":
    unittest.main()
