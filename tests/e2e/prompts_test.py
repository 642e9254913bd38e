"""A bank of prompts in front of documents, through the programs."""

import json
import struct
import unittest

import tiny
from program import TrainedTest, files_of, lmoe

MIXTURE = {"method": "l-moe", "experts": {"count": 2, "rank": 4}, "prompts": {"count": 3, "length": 4, "select": 2}}


def tensors(path):
    """Bytes of the tensors of a safetensors file."""
    content = path.read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    header = {name: entry for name, entry in json.loads(content[8:8 + size]).items() if name != "__metadata__"}
    return {name: content[8 + size:][slice(*entry["data_offsets"])] for name, entry in header.items()}


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

    def test_eval_and_the_page_say_which_prompts_a_task_finds(self):
        shown = self.run_well("eval", self.run_folder)
        self.assertIn("prompts of the bank in front of records", shown)
        task = json.loads((self.run_folder / "eval.json").read_text())["results"][-1]["tasks"][0]["prompts"]
        self.assertEqual(len(task["share"]), 3)
        self.assertAlmostEqual(sum(task["share"]), 2.0, msg="two in front of each record")
        self.assertAlmostEqual(sum(task["nearest"]), 1.0)
        page = (self.run_folder / "report.html").read_text()
        data = json.loads(page.split('<script type="application/json" id="data">')[1].split("</script>")[0])
        self.assertEqual(len(data["prompts"]["usage"][0]["share"]), 3)

    def test_entries_are_appended_and_learn_beside_frozen_ones(self):
        words = self.tasks / "words" / "test.jsonl"
        longer, on = self.folder / "longer", self.folder / "on"
        shown = self.run_well("prompts", self.run_folder, "add", "--count", "2", "--data", words, "--out", longer)
        for text in ("before", "after", "entries: 5, the new ones from 3", f"run: {longer}"):
            self.assertIn(text, shown)
        before, after = tensors(self.run_folder / "prompts.safetensors"), tensors(longer / "prompts.safetensors")
        for name in before:
            self.assertEqual(after[name][: len(before[name])], before[name], "every bit of the old entries")
        self.run_well("train", longer / "config_effective.json", f"init_from={longer}", f"output_dir={on}", "max_steps=3",
                      "plot_loss=false", "mixture.prompts.frozen=3", "mixture.prompts.triplet_coef=0.5")
        trained = tensors(on / "prompts.safetensors")
        for name in before:
            self.assertEqual(trained[name][: len(before[name])], before[name])
            self.assertNotEqual(trained[name][len(before[name]):], after[name][len(before[name]):])
        self.assertIn("prompt_triplet", json.loads((on / "log.jsonl").read_text().splitlines()[0])["balance"])

    def test_entries_that_nobody_has_trained_are_not_frozen(self):
        out = self.folder / "noise"
        done = lmoe("train", self.recipe("noise", mixture={**MIXTURE, "prompts": {**MIXTURE["prompts"], "frozen": 1}}))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("init_from=RUN", done.stderr)
        self.assertFalse(out.exists())

    def test_all_samples_of_a_file_count(self):
        many = tiny.write_lines(self.folder / "many.jsonl", [{"prompt": f"{n} is ", "completion": "a number"} for n in range(70)])
        shown = self.run_well("prompts", self.run_folder, "add", "--count", "70", "--samples", many, "--out", self.folder / "many")
        self.assertIn("entries: 73, the new ones from 3", shown)

    def test_what_cannot_be_appended_is_refused(self):
        words, out = self.tasks / "words" / "test.jsonl", self.folder / "never"
        for arguments, word in (([self.run_folder, "add"], "--samples"), ([self.run_folder, "remove", "--data", words], "remove"),
                                ([self.run_folder, "add", "--count", "9999", "--data", words], "samples"),
                                ([self.run_folder, "add", "--data", self.folder / "none.jsonl"], "none.jsonl")):
            with self.subTest(word):
                done = lmoe("prompts", *arguments, "--out", out)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(word, done.stderr)
                self.assertFalse(out.exists())

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
