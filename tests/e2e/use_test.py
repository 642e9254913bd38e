"""Train, then everything one can do with a run."""

import json
import math
import re
import shutil
import unittest

from program import ProgramTest, files_of, lmoe, log_lines


class Use(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = lmoe("train", cls.recipe("run"))
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.said = done.stderr
        cls.run_folder = cls.folder / "run"

    def test_training_leaves_the_files_of_a_run_and_a_lower_loss(self):
        files = files_of(self.run_folder)
        for name in (
            "manifest.json", "mixture.yaml", "router.safetensors", "base.json", "config_effective.json",
            "tokenizer.json", "chat_template.jinja", "log.jsonl", "report.html",
        ):
            self.assertIn(name, files)
        for expert in ("expert0", "expert1"):
            self.assertIn(f"experts/{expert}/adapter_config.json", files)
            self.assertIn(f"experts/{expert}/adapter_model.safetensors", files)
        self.assertFalse([name for name in files if "partial" in name])
        losses = [line["loss"] for line in log_lines(self.run_folder) if "loss" in line]
        self.assertEqual(len(losses), 30)
        self.assertLess(losses[-1], 0.7 * losses[0])

    def test_hashing_and_reading_a_base_are_shown(self):
        for phase in ("hashing", "reading"):
            self.assertRegex(self.said, rf"(?m)^{phase} {self.base}: ([\d.]+kB)/\1 in ")
        said = lmoe("score", self.run_folder, "--text", "-", stdin="big is not small").stderr
        for phase in ("checking", "reading"):
            self.assertRegex(said, rf"(?m)^{phase} {self.run_folder}: ([\d.]+kB)/\1 in ")

    def test_eval_as_json_has_one_entry_per_task(self):
        result = json.loads(self.run_well("eval", self.run_folder, "--json"))
        self.assertEqual([task["task"] for task in result["tasks"]], ["words", "digits"])
        for task, n in zip(result["tasks"], (20, 25)):
            self.assertEqual(task["metric"], "exact_match")
            self.assertEqual(task["n"], n)
            self.assertTrue(0 <= task["score"] <= 1)
        self.assertIn("eval.json", files_of(self.run_folder))

    def test_eval_measures_what_it_is_given(self):
        data = self.tasks / "digits" / "test.jsonl"
        result = json.loads(self.run_well("eval", self.run_folder, "--data", f"{data}#5", "metric=perplexity", "--json"))
        (task,) = result["tasks"]
        self.assertEqual((task["task"], task["metric"], task["n"]), ("digits", "perplexity", 5))
        self.assertGreater(task["score"], 1)

    def test_training_changes_what_eval_measures(self):
        data = self.tasks / "words" / "test.jsonl"
        arguments = ("--data", data, "metric=perplexity", "--json")
        trained = json.loads(self.run_well("eval", self.run_folder, *arguments))["tasks"][0]["score"]
        base = json.loads(self.run_well("eval", "--base", self.base, *arguments))["tasks"][0]["score"]
        self.assertLess(trained, base / 2)

    def test_references_are_mixed_with_what_a_model_says(self):
        data = self.tasks / "words" / "test.jsonl"
        measure = ("--data", data, "metric=perplexity", "ablation_records=0", "--json")
        references = ("--references", data, "--reference-neighbours", "4", "--reference-temperature", "5")
        scores = {}
        for weight in ("0", "0.5"):
            done = lmoe("eval", "--base", self.base, *measure, *references, "--reference-weight", weight)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("its answers are references", done.stderr)
            result = json.loads(done.stdout)
            self.assertIn(f"references of {data} at weight {weight}", result["model"])
            scores[weight] = result["tasks"][0]["score"]
        self.assertEqual(scores["0"], json.loads(self.run_well("eval", "--base", self.base, *measure))["tasks"][0]["score"])
        self.assertLess(scores["0.5"], scores["0"] / 2)
        text = ("score", self.run_folder, "--text", "-", "--json")
        plain, asked = (self.run_well(*text, *more, stdin="big is not small")
                        for more in ((), (*references, "--reference-weight", "0.2", "--reference-heads", "2", "--reference-count", "50")))
        self.assertNotEqual(json.loads(plain)["logprobs"], json.loads(asked)["logprobs"])
        record = json.loads(data.read_text().splitlines()[0])
        answer = self.run_well("generate", "--base", self.base, "--prompt", record["prompt"], *references, "--reference-weight", "0.9")
        self.assertIn(record["completion"].strip(), answer)
        said = self.run_well("chat", "--base", self.base, "--plain", *references, "--reference-weight", "0.9", "max_new_tokens=12",
                             stdin=record["prompt"] + "\n")
        self.assertIn(record["completion"].strip(), said)
        for wrong, word in ((("--reference-weight", "0.5"), "--references FILE"), (("--references", data), "--reference-weight"),
                            ((*references, "--reference-weight", "1"), "impossible"),
                            ((*references, "--reference-weight", "nan"), "not in range"),
                            ((*references, "--reference-weight", "0.5", "--reference-heads", "7"), "heads"),
                            ((*references, "--reference-weight", "0.5", "--reference-count", "3"), "neighbours")):
            with self.subTest(word):
                done = lmoe("score", "--base", self.base, "--text", "-", *wrong, stdin="big")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(word, done.stderr)

    def test_refusals_come_before_references_are_read(self):
        references = ("--references", self.tasks / "words" / "test.jsonl", "--reference-weight", "0.5")
        bare = shutil.copytree(self.base, self.folder / "bare")
        (bare / "chat_template.jinja").unlink()
        for arguments, word in ((("chat", "--base", bare, "--template"), "has no chat template"),
                                (("generate", "--base", self.base, "--prompt", "a", "--router"), "--router cannot act"),
                                (("generate", "--base", bare, "--prompt", "a", "--chat"), "has no chat template")):
            with self.subTest(arguments[0]):
                done = lmoe(*arguments, *references)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(word, done.stderr)
                self.assertNotIn("references: ", done.stderr)

    def test_the_other_part_of_a_training_file_is_held_out(self):
        words = str(self.tasks / "words")
        parts = {"rest": "train[50%:]", "both": "train[:51%]", "edge": "train[9:]", "few": "train[:2]"}
        recipe = self.recipe("part", max_steps=2, datasets=[{"path": words, "split": "train[:50%]"}],
                             eval_datasets=[{"path": words, "name": name, "split": part} for name, part in parts.items()])
        self.run_well("train", recipe)
        tasks = json.loads((self.folder / "part" / "eval.json").read_text())["results"][-1]["tasks"]
        self.assertEqual({task["task"]: task["training_data"] for task in tasks}, {"rest": False, "both": True, "edge": True, "few": True})

    def test_score_has_one_logprob_per_token_and_null_first(self):
        text = self.folder / "text.txt"
        text.write_text("hot is not cold")
        scores = {}
        for name, model in {"base": (), "run": ("--run", self.run_folder)}.items():
            arguments = ("score", "--base", self.base, *model, "--text", text, "--dtype", "float32", "--json")
            result = json.loads(self.run_well(*arguments))
            self.assertEqual(len(result["token_ids"]), len(result["logprobs"]))
            self.assertIsNone(result["logprobs"][0])
            self.assertTrue(all(value <= 0 for value in result["logprobs"][1:]))
            mean = sum(result["logprobs"][1:]) / (len(result["logprobs"]) - 1)
            self.assertAlmostEqual(result["perplexity"], math.exp(-mean), delta=1e-4 * result["perplexity"])
            scores[name] = result
        self.assertEqual(scores["base"]["token_ids"], scores["run"]["token_ids"])
        self.assertNotEqual(scores["base"]["logprobs"], scores["run"]["logprobs"])

    def test_score_reads_standard_input(self):
        arguments = ("score", self.run_folder, "--json", "--text")
        text = self.folder / "same.txt"
        text.write_text("big is not small")
        piped = json.loads(self.run_well(*arguments, "-", stdin="big is not small"))
        self.assertEqual(piped, json.loads(self.run_well(*arguments, text)))

    def test_generate_answers_and_shows_the_router(self):
        arguments = ("generate", self.run_folder, "--prompt", "hot is not ", "max_new_tokens=4")
        answer = json.loads(self.run_well(*arguments, "--json"))
        self.assertIn(answer["finish_reason"], ("eos", "length"))
        self.assertLessEqual(len(answer["token_ids"]), 4)
        self.assertEqual(answer["experts"], ["expert0", "expert1"])
        shown = self.run_well(*arguments, "--router")
        self.assertTrue(shown.startswith(answer["text"]))
        self.assertIn("mean weight", shown)

    def test_chat_reads_lines_from_a_pipe(self):
        lines = "/router\nhot is not \n/router\n/nonsense\n/reset\n/exit\nnever read\n"
        said = self.run_well("chat", self.run_folder, "max_new_tokens=4", stdin=lines)
        parts = [said.find(text) for text in ("no answer yet", "mean weight", "unknown command /nonsense", "forgotten")]
        self.assertNotIn(-1, parts)
        self.assertEqual(parts, sorted(parts))

    def test_chat_with_a_base_has_no_router(self):
        said = self.run_well("chat", "--base", self.base, "max_new_tokens=2", stdin="hello\n/router\n")
        self.assertIn("has no router", said)

    def test_inspect_run_expert_and_base(self):
        run = json.loads(self.run_well("inspect", self.run_folder, "--json"))
        self.assertIn("sizes and hashes", run["manifest"])
        expert = json.loads(self.run_well("inspect", self.run_folder / "experts" / "expert0", "--json"))
        self.assertEqual((expert["rank"], expert["modules"]), (4, 14))
        base = json.loads(self.run_well("inspect", self.base, "--json"))
        self.assertEqual((base["family"], base["hidden_size"]), ("llama", 32))

    def test_methods_are_listed_and_each_is_a_recipe(self):
        names = self.run_well("methods", "--names").split()
        self.assertIn("l-moe", names)
        self.assertIn("lora", names)
        for name in names:
            self.assertIn("mixture:", self.run_well("methods", name))

    def test_a_method_s_card_counts_what_training_would_train(self):
        for method in ("lora", "l-moe", "mola", "comol"):
            card = self.run_well("methods", method, "--base", self.base)
            counted = re.search(r"trained parameters +(\d+)\n", card)[1]
            recipe = self.folder / f"{method}.yaml"
            recipe.write_text(f"{card}base_model: {self.base}\ndatasets: [{{path: {self.tasks / 'words'}}}]\n")
            self.assertIn(f"parameters: {counted} trained", self.run_well("train", recipe, "--dry-run"))
        self.assertIn("impossible", self.run_well("methods", "l-moe"))
        self.assertIn("possible, it is one fixed delta", self.run_well("methods", "lora"))

    def test_report_is_written_again(self):
        page = self.run_folder / "report.html"
        page.unlink()
        self.run_well("report", self.run_folder)
        self.assertIn("</html>", page.read_text())

    def test_dry_run_trains_nothing(self):
        recipe = self.recipe("dry")
        shown = self.run_well("train", recipe, "--dry-run")
        for text in ("targets hit: 14 projections", "trained", "frozen", "expected peak memory", "«"):
            self.assertIn(text, shown)
        self.assertFalse((self.folder / "dry").exists())

    def test_dry_run_says_how_full_rows_are(self):
        done = lmoe("train", self.recipe("rows"), "--dry-run")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = re.search(r"rows: (\d+) per epoch, (\d+) of 64 tokens long on average; (\d+) % of the tokens are labelled, none is padding",
                         done.stderr)
        self.assertIsNotNone(said, done.stderr)
        rows, length, labelled = map(int, said.groups())
        self.assertIn(f"rows per epoch: {rows}, ", done.stdout)
        tokens = sum(map(int, re.findall(r"examples, (\d+) tokens", done.stderr)))
        self.assertGreater(tokens, 0)
        self.assertLessEqual(abs(rows * length - tokens), rows / 2)
        self.assertTrue(0 < labelled < 100, labelled)
        self.run_well("train", self.recipe("epoch", micro_batch_size=1, gradient_accumulation_steps=1, max_steps=rows, logging_steps=1))
        self.assertEqual(log_lines(self.folder / "epoch")[-1]["total_tokens"], tokens, "an epoch computes nothing but data")


if __name__ == "__main__":
    unittest.main()
