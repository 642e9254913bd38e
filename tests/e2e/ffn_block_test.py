"""A mixture of whole FFNs through the programs: train, use, and exchange with MoE-PEFT."""

import json
import unittest

from program import TrainedTest, files_of, lmoe


class FfnBlock(TrainedTest):
    mixture = {"method": "mixlora", "experts": {"count": 3, "rank": 4}, "plain": {"rank": 4}}

    def logprobs(self, *model):
        arguments = ("score", *model, "--text", self.text, "--dtype", "float32", "--json")
        return json.loads(self.run_well(*arguments))["logprobs"]

    def test_every_expert_and_the_plain_loras_are_adapters(self):
        for name in ("expert0", "expert1", "expert2", "plain"):
            self.assertIn(f"experts/{name}/adapter_model.safetensors", files_of(self.run_folder))
        expert = json.loads(self.run_well("inspect", self.run_folder / "experts" / "expert1", "--json"))
        self.assertEqual(expert["modules"], 2 * 3)
        self.assertEqual(json.loads(self.run_well("inspect", self.run_folder / "experts" / "plain", "--json"))
                         ["modules"], 2 * 4)

    def test_eval_reports_one_gate_per_layer_and_each_expert_ablated(self):
        result = json.loads(self.run_well("eval", self.run_folder, "--json"))
        self.assertEqual(result["router"]["experts"], ["expert0", "expert1", "expert2"])
        self.assertEqual(result["router"]["sites"], ["layers.0.mlp", "layers.1.mlp"])
        self.assertEqual(len(result["tasks"][0]["ablation"]["experts"]), 3)

    def test_generate_chat_and_report(self):
        shown = self.run_well("generate", self.run_folder, "--prompt", "hot is not ", "max_new_tokens=4", "--router")
        self.assertIn("mean weight", shown)
        said = self.run_well("chat", self.run_folder, "max_new_tokens=4", stdin="hot is not \n/router\n")
        self.assertIn("mean weight", said)
        self.assertIn("mixlora", (self.run_folder / "report.html").read_text())

    def test_export_to_moe_peft_and_back(self):
        exported = self.folder / "exported"
        self.run_well("export", self.run_folder, "--to", "moe-peft", "-o", exported)
        self.assertEqual(files_of(exported), ["adapter_config.json", "adapter_model.safetensors"])
        self.assertEqual(self.logprobs(exported, "--base", self.base), self.logprobs(self.run_folder))
        again = lmoe("export", self.run_folder, "--to", "moe-peft", "-o", exported)
        self.assertEqual(again.returncode, 2)
        self.assertIn("is there already", again.stderr)
        without = lmoe("generate", exported, "--prompt", "hot")
        self.assertEqual(without.returncode, 2)
        self.assertIn("--base", without.stderr)


if __name__ == "__main__":
    unittest.main()
