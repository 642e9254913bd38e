"""A reward model whose outer router was learned judges pairs of two categories without being told which is which."""

import json
import shutil
import struct
import unittest

import tiny
from program import ProgramTest, lmoe

ROUTER = {"source": "last_hidden", "net": "classifier", "share": "model", "layerwise": False, "pool": "prompt", "default_task": None}


def reward_values(run):
    """Rows of a run's reward.value [G, H]."""
    content = (run / "reward_head.safetensors").read_bytes()
    size = struct.unpack("<Q", content[:8])[0]
    entry = json.loads(content[8:8 + size])["reward.value"]
    begin, end = entry["data_offsets"]
    heads, width = entry["shape"]
    values = struct.unpack(f"<{heads * width}f", content[8 + size + begin:8 + size + end])
    return [values[g * width:(g + 1) * width] for g in range(heads)]


class Reward(ProgramTest):
    def test_a_learned_router_needs_no_task_labels(self):
        animals = [{"prompt": f"say {a}: ", "chosen": f"{a} good", "rejected": f"{a} bad"} for a in ("cat", "dog", "cow", "pig", "hen", "fox")]
        sums = [{"prompt": f"{a}+{b}=", "chosen": f"{a + b} low", "rejected": f"{a + b} high"} for a in range(4) for b in range(3)]
        data = {name: tiny.write_lines(self.folder / f"{name}.jsonl", pairs * 2) for name, pairs in (("animals", animals), ("sums", sums))}
        recipe = self.recipe("judge", objective="preference", datasets=[{"path": str(path), "task": name} for name, path in data.items()],
                             eval_datasets=[], max_steps=60, plot_loss=False,
                             mixture={"method": "dmoerm", "experts": {"count": 2, "names": list(data), "rank": 4}, "gate": ROUTER,
                                      "losses": [{"kind": "task_cross_entropy", "coef": 1.0}]})
        self.run_well("train", recipe)
        run = self.folder / "judge"
        for name, path in data.items():
            scores = [json.loads(self.run_well("eval", run, "--data", path, "--dtype", "float32", "--json", *more))["tasks"][0]
                      for more in ([], ["--task", name])]
            self.assertEqual(scores[0]["score"], scores[1]["score"])
            self.assertGreater(scores[0]["score"], 0.9)
            self.assertEqual(scores[0]["metric"], "pair_accuracy")

    def test_three_phases_of_dmoerm(self):
        """A reward model of each category, experts of its capabilities that begin as it, and an aggregator over these."""
        folder, categories = self.folder / "phases", {"animals": ("cat", "dog", "cow", "pig", "hen", "fox"), "plants": ("oak", "elm", "fir", "ash", "yew", "fig")}
        data = {}
        for category, words in categories.items():
            for capability, (good, bad) in {"kind": ("good", "bad"), "short": ("yes", "well")}.items():
                pairs = [{"prompt": f"say {word}: ", "chosen": f"{word} {good}", "rejected": f"{word} {bad}"} for word in words]
                data[category, capability] = tiny.write_lines(folder / f"{category}-{capability}.jsonl", pairs * 5)
        common = {"objective": "preference", "eval_datasets": [], "plot_loss": False}

        def datasets(part, task):
            return [{"path": str(path), "split": f"train[{part}]", "task": task(*names)} for names, path in data.items()]

        def accuracy(run, names, task):
            scored = self.run_well("eval", run, "--data", data[names], "--task", task, "--dtype", "float32", "--json")
            return json.loads(scored)["tasks"][0]

        mixture = {"method": "dmoerm", "experts": {"count": 2, "names": list(categories), "rank": 4, "dropout": 0}}
        of_category = datasets(":60%", lambda category, _: category)
        self.run_well("train", self.recipe("base-phase", datasets=of_category, max_steps=40, mixture=mixture, **common))
        base = self.folder / "base-phase"
        self.assertGreater(accuracy(base, ("animals", "kind"), "animals")["score"], 0.9)

        # The second phase, before it has learned anything: every capability judges as its category does.
        adapters = {"-".join(names): str(base / "experts" / names[0]) for names in data}
        of_capability = datasets(":60%", lambda *names: "-".join(names))
        second = {"datasets": of_capability, "init_reward_head": str(base), "mixture": {"method": "dmoerm", "adapters": adapters, "experts": {"dropout": 0}},
                  **common}
        self.run_well("train", self.recipe("untrained", max_steps=1, learning_rate=1e-12, **second))
        for names in data:
            first, untrained = accuracy(base, names, names[0]), accuracy(self.folder / "untrained", names, "-".join(names))
            self.assertEqual(untrained["score"], first["score"])
        # Heads follow the experts that theirs begin as, in whatever order these are listed.
        turned = {name: str(base / "experts" / name) for name in reversed(categories)}
        other_way = second | {"datasets": of_category[2:] + of_category[:2], "mixture": {**second["mixture"], "adapters": turned}}
        self.run_well("train", self.recipe("turned", max_steps=1, learning_rate=1e-12, **other_way))
        heads, turned_heads = (reward_values(run) for run in (base, self.folder / "turned"))
        self.assertNotEqual(heads[0], heads[1])
        for given, found in zip(heads[::-1], turned_heads, strict=True):
            for first, second_value in zip(given, found, strict=True):
                self.assertAlmostEqual(first, second_value, places=6)
        elsewhere = shutil.copytree(base / "experts" / "animals", folder / "elsewhere")
        other_way["mixture"]["adapters"] = {**turned, "animals": str(elsewhere)}
        done = lmoe("train", self.recipe("half", max_steps=1, **other_way))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("expected all or none", done.stderr)

        self.run_well("train", self.recipe("capabilities", max_steps=20, **second))
        experts = self.folder / "capabilities"
        self.assertGreater(accuracy(experts, ("plants", "short"), "plants-short")["score"], 0.9)

        # The third: a category is judged by both of its experts, which stay as they are.
        third = {"method": "dmoerm", "experts": {"count": 4, "names": list(adapters), "rank": 4, "dropout": 0}, "schedule": {"freeze_experts": True}}
        self.run_well("train", self.recipe("aggregator", datasets=datasets("60%:", lambda category, _: category), max_steps=60, reward_passes=2,
                                           init_from=str(experts), mixture=third, **common))
        joined = self.folder / "aggregator"
        for name in adapters:
            file = f"experts/{name}/adapter_model.safetensors"
            self.assertEqual((joined / file).read_bytes(), (experts / file).read_bytes())
        for names in data:
            self.assertGreater(accuracy(joined, names, names[0])["score"], 0.9)

        done = lmoe("train", self.recipe("no-head", max_steps=1, **{**second, "init_reward_head": str(joined)}))
        self.assertEqual(done.returncode, 2)
        self.assertIn("joins passes", done.stderr)


if __name__ == "__main__":
    unittest.main()
