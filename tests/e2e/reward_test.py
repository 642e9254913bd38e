"""A reward model whose outer router was learned judges pairs of two categories without being told which is which."""

import json
import unittest

import tiny
from program import ProgramTest

ROUTER = {"source": "last_hidden", "net": "classifier", "share": "model", "layerwise": False, "pool": "prompt", "default_task": None}


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


if __name__ == "__main__":
    unittest.main()
