"""lmoe extract: a model trained as a whole becomes a LoRA, and that an expert of flexmore."""

import json
import struct
import unittest

import tiny
from program import ProgramTest, lmoe


def write_tuned(folder, seed):
    """The tiny base with other FFNs."""
    tiny.write_base(folder)
    tensors, other = tiny.random_tensors(1), tiny.random_tensors(seed)
    for name, (shape, content) in tensors.items():
        if ".mlp." not in name:
            continue
        count = len(content) // 4
        values = zip(struct.unpack(f"<{count}f", content), struct.unpack(f"<{count}f", other[name][1]))
        tensors[name] = (shape, struct.pack(f"<{count}f", *(a + 0.3 * b for a, b in values)))
    tiny.write_safetensors(folder / "model.safetensors", tensors)
    return folder


class Extract(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tuned = [write_tuned(cls.folder / f"tuned{seed}", seed) for seed in (5, 6)]

    def extract(self, tuned, rank, name, *more):
        return self.run_well("extract", "--base", self.base, "--tuned", tuned, "--rank", rank, "-o", self.folder / name, *more)

    def test_all_ranks_score_as_the_model_does(self):
        shown = self.extract(self.tuned[0], 32, "full")
        self.assertIn("model.layers.1.mlp.down_proj", shown)
        recipe = self.recipe("alone", mixture={"method": "lora", "adapters": {"all": str(self.folder / "full")}}, max_steps=1,
                             learning_rate=1e-9)
        self.run_well("train", recipe, "plot_loss=false")
        scores = []
        for model in ([self.folder / "alone"], ["--base", self.tuned[0]], ["--base", self.base]):
            result = self.run_well("eval", *model, "--data", self.tasks / "words" / "test.jsonl", "metric=perplexity",
                                   "ablation_records=0", "--dtype", "float32", "--json")
            scores.append(json.loads(result)["tasks"][0]["score"])
        self.assertAlmostEqual(scores[0] / scores[1], 1, places=4)
        self.assertNotAlmostEqual(scores[2] / scores[1], 1, places=2)
        config = json.loads((self.folder / "full" / "adapter_config.json").read_text())
        self.assertEqual((config["r"], config["lora_alpha"]), (32, 32))
        self.assertEqual(sorted(config["target_modules"]), ["down_proj", "gate_proj", "up_proj"])

    def test_errors_fall_with_the_rank_and_experts_of_unequal_ranks_mix(self):
        errors = []
        for rank in (2, 8):
            report = json.loads(self.extract(self.tuned[0], rank, f"rank{rank}", "--json"))
            self.assertEqual(len(report["matrices"]), 6)
            self.assertEqual(report["left_out"], [])
            errors.append([matrix["error"] for matrix in report["matrices"]])
        self.assertTrue(all(more < less for less, more in zip(*errors)))
        self.extract(self.tuned[1], 4, "other")
        adapters = {"public": "base", "two": str(self.folder / "rank2"), "eight": str(self.folder / "rank8")}
        recipe = self.recipe("mix", mixture={"method": "flexmore", "adapters": adapters}, max_steps=4)
        self.run_well("train", recipe, "plot_loss=false")
        name = "adapter_model.safetensors"
        larger = self.folder / "larger"
        words = self.tasks / "words" / "test.jsonl"
        self.run_well("experts", self.folder / "mix", "add", f"other={self.folder / 'other'}", "--data", words, "--out", larger)
        for expert in ("public", "two", "eight"):
            self.assertEqual((larger / "experts" / expert / name).read_bytes(),
                             (self.folder / "mix" / "experts" / expert / name).read_bytes())
        self.run_well("eval", larger, "--data", words, "ablation_records=0")

    def test_bad_input(self):
        out = self.folder / "never"
        smaller = self.folder / "smaller"
        tiny.write_base(smaller)
        config = json.loads((smaller / "config.json").read_text())
        config["intermediate_size"] = 40
        (smaller / "config.json").write_text(json.dumps(config))
        tensors = tiny.random_tensors(1)
        for name, (shape, content) in tensors.items():
            if ".mlp." in name:
                shape = [40 if n == 48 else n for n in shape]
                tensors[name] = (shape, content[: 4 * shape[0] * shape[1]])
        tiny.write_safetensors(smaller / "model.safetensors", tensors)
        for base, tuned, more, words in (
            (self.base, smaller, ["--rank", "2"], ["mlp.down_proj.weight", "[32, 40]", "[32, 48]"]),
            (self.base, self.tuned[0], ["--rank", "33"], ["33", "1 to 32"]),
            (self.base, self.tuned[0], ["--rank", "2", "--projections", "gate,upp"], ["upp"]),
            (self.base, self.base, ["--rank", "2"], ["does not differ"]),
            (self.base, self.folder / "none", ["--rank", "2"], ["none"]),
        ):
            done = lmoe("extract", "--base", base, "--tuned", tuned, "-o", out, *more)
            self.assertEqual(done.returncode, 2, done.stderr)
            for word in words:
                self.assertIn(word, done.stderr)
            self.assertFalse(out.exists())


if __name__ == "__main__":
    unittest.main()
