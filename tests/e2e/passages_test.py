"""Passages in records and experts of their own for them, through the programs."""

import json
import unittest

import tiny
from program import ProgramTest, lmoe, log_lines

MIXTURE = {"method": "l-moe", "experts": {"count": 2, "rank": 4}, "losses": [],
           "select": {"private_experts": 1, "private_by": "passage", "groups": 2}}


def record(a, b):
    return {"prompt": [{"text": f"{a}+1 ", "passage": 1}, {"text": f"{b}+2 ", "passage": 2}, "is"], "completion": f"{a + 1}{b + 2}"}


def chat(a, b):
    return {"messages": [{"role": "user", "content": f"{a}+1", "passage": 1}, {"role": "user", "content": f"{b}+2", "passage": 2},
                         {"role": "assistant", "content": f"{a + 1}{b + 2}"}]}


class Passages(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, make in {"sums": record, "chats": chat}.items():
            for split in ("train", "test"):
                tiny.write_lines(cls.folder / name / f"{split}.jsonl", [make(a, b) for a in range(5) for b in range(5)])

    def settings(self, name, **more):
        data = [{"path": str(self.folder / name)}]
        return {"datasets": data, "eval_datasets": [{**data[0], "split": "test"}], "mixture": MIXTURE, **more}

    def refused(self, name, word, **more):
        done = lmoe("train", self.recipe("refused", **self.settings(name, **more)))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(word, done.stderr)
        self.assertFalse((self.folder / "refused").exists())

    def test_training_scoring_and_answering(self):
        for name in ("sums", "chats"):
            with self.subTest(name):
                self.run_well("train", self.recipe(f"run-{name}", **self.settings(name, max_steps=30)))
                run = self.folder / f"run-{name}"
                losses = [line["loss"] for line in log_lines(run) if "loss" in line]
                self.assertLess(losses[-1], losses[0])
                for metric in ("exact_match", "perplexity"):
                    result = json.loads(self.run_well("eval", run, "--json", f"metric={metric}"))
                    self.assertEqual(result["tasks"][0]["n"], 25)

    def test_passages_make_a_difference(self):
        run = self.folder / "with"
        self.run_well("train", self.recipe("with", **self.settings("sums", max_steps=10)))
        apart = self.folder / "sums" / "test.jsonl"
        joined = tiny.write_lines(self.folder / "joined.jsonl", [
            {"prompt": f"{a}+1 {b}+2 is", "completion": f"{a + 1}{b + 2}"} for a in range(5) for b in range(5)])

        def loss(path):
            shown = self.run_well("eval", run, "--json", "metric=perplexity", "--data", path)
            return json.loads(shown)["tasks"][0]["loss"]

        self.assertNotEqual(loss(apart), loss(joined))

    def test_a_dry_run_shows_them(self):
        shown = self.run_well("train", self.recipe("dry", **self.settings("sums")), "--dry-run")
        self.assertIn("⟦1: 0+1 ⟧⟦2: 0+2 ⟧", shown)

    def test_what_cannot_act_is_refused(self):
        self.refused("sums", "gate.pool prompt", mixture={"method": "l-moe", "gate": {"pool": "prompt"}})
        self.refused("sums", "given passage 2, expected at most 1",
                     mixture={**MIXTURE, "select": {**MIXTURE["select"], "groups": 1}})
        tiny.write_lines(self.folder / "plain" / "train.jsonl", [{"prompt": "a", "completion": "b"}])
        tiny.write_lines(self.folder / "plain" / "test.jsonl", [{"prompt": "a", "completion": "b"}])
        self.refused("plain", "given data without passages")
        twice = {"prompt": [{"text": "a", "passage": 1}, "b", {"text": "c", "passage": 1}], "completion": "d"}
        tiny.write_lines(self.folder / "twice" / "train.jsonl", [twice])
        self.refused("twice", "train.jsonl:1: \"passage\": given 1 again after other text")


if __name__ == "__main__":
    unittest.main()
