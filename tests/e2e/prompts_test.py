"""A bank of prompts in front of documents, through the programs."""

import json
import unittest

from program import TrainedTest, files_of, lmoe

MIXTURE = {"method": "l-moe", "experts": {"count": 2, "rank": 4}, "prompts": {"count": 3, "length": 4, "select": 2}}


class Prompts(TrainedTest):
    mixture = MIXTURE

    def test_the_bank_is_saved_and_inspected(self):
        self.assertIn("prompts.safetensors", files_of(self.run_folder))
        bank = json.loads(self.run_well("inspect", self.run_folder, "--json"))["prompts"]
        self.assertEqual((bank["entries"], bank["length"], bank["parameters"]), (3, 4, 3 * 5 * 32))
        self.assertIn("prompts.safetensors", (self.run_folder / "manifest.json").read_text())

    def test_the_log_says_how_near_keys_are(self):
        first = json.loads((self.run_folder / "log.jsonl").read_text().splitlines()[0])
        self.assertGreaterEqual(first["balance"]["prompt_matching"], 0.0)
        self.assertLess(first["balance"]["prompt_matching"], 2.0, "two keys that began as prototypes")

    def test_scores_are_of_the_tokens_of_the_text_alone(self):
        def scored(*more):
            return json.loads(self.run_well("score", *more, "--text", self.text, "--dtype", "float32", "--json"))

        with_prompts, base = scored(self.run_folder), scored("--base", self.base)
        self.assertEqual(len(with_prompts["logprobs"]), len(base["logprobs"]))
        self.assertNotEqual(with_prompts["logprobs"], base["logprobs"])

    def test_eval_generate_and_chat(self):
        result = json.loads(self.run_well("eval", self.run_folder, "--json"))
        self.assertEqual(result["router"]["experts"], ["expert0", "expert1"])
        shown = self.run_well("generate", self.run_folder, "--prompt", "hot is not ", "max_new_tokens=4", "--router")
        self.assertIn("mean weight", shown)
        said = self.run_well("chat", self.run_folder, "max_new_tokens=4", stdin="hot is not \nand cold\n/router\n")
        self.assertIn("mean weight", said)

    def test_a_dry_run_counts_it(self):
        plain = {"method": "l-moe", "experts": {"count": 2, "rank": 4}}
        counts = []
        for name, mixture in {"plain-dry": plain, "prompts-dry": MIXTURE}.items():
            shown = self.run_well("train", self.recipe(name, mixture=mixture), "--dry-run")
            line = next(line for line in shown.splitlines() if line.startswith("parameters: "))
            counts.append(int(line.split()[1]))
        self.assertEqual(counts[1] - counts[0], 3 * 5 * 32)

    def test_its_experts_are_not_changed_one_by_one(self):
        done = lmoe("experts", self.run_folder, "remove", "expert1", "--out", self.folder / "smaller")
        self.assertEqual(done.returncode, 2)
        self.assertIn("prompts of a bank", done.stderr)


if __name__ == "__main__":
    unittest.main()
