"""The whole program on every instruction set this processor has: what another machine would compute."""

import json
import os
import re
import unittest

from program import ProgramTest, lmoe, log_lines

# LibTorch and the libraries it carries choose for themselves.
TORCH_WITHOUT_AVX512 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}


def on(target, *arguments):
    torch = {} if target == "AVX3" else TORCH_WITHOUT_AVX512
    return lmoe(*arguments, env=os.environ | torch | {"LMOE_KERNELS": target})


def bench(base, *more):
    """The smallest step there is."""
    return ("bench", "train", f"base_model={base}", "--rows", "1", "--length", "16", "--steps", "1", *more)


class EveryInstructionSet(ProgramTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.refused = [lmoe(*verb, env=os.environ | {"LMOE_KERNELS": "AVX9"}) for verb in (["bench", "train"], ["methods"])]
        listed = re.search(r"expected one of (.+)", cls.refused[0].stderr)
        cls.targets = listed.group(1).split(", ") if listed else []

    def test_an_unknown_one_is_refused_with_those_there_are(self):
        for refused in self.refused:  # by both programs
            self.assertEqual(refused.returncode, 2)
            self.assertIn("LMOE_KERNELS=AVX9", refused.stderr)
            self.assertEqual(refused.stdout, "")
        self.assertGreaterEqual(len(self.targets), 1, self.refused[0].stderr)

    def test_training_and_scoring_are_the_same_on_all(self):
        losses, scores = {}, {}
        text = self.folder / "text.txt"
        text.write_text("hot is not cold")
        for target in self.targets:
            with self.subTest(target):
                done = on(target, "train", self.recipe(target))
                self.assertEqual(done.returncode, 0, done.stderr)
                losses[target] = [line["loss"] for line in log_lines(self.folder / target) if "loss" in line]
                self.assertEqual(len(losses[target]), 30)
                self.assertLess(losses[target][-1], 0.7 * losses[target][0])
                for dtype in ("float32", "bfloat16"):
                    done = on(target, "score", self.folder / self.targets[0], "--text", text, "--dtype", dtype, "--json")
                    self.assertEqual(done.returncode, 0, done.stderr)
                    scores[target, dtype] = json.loads(done.stdout)["logprobs"][1:]
        best = self.targets[0]
        for target in self.targets:
            with self.subTest(target):
                for step, (got, expected) in enumerate(zip(losses[target], losses[best])):
                    self.assertAlmostEqual(got, expected, delta=1e-4 * expected, msg=f"step {step}")
                for dtype, allowed in (("float32", 1e-5), ("bfloat16", 0.1)):
                    for got, expected in zip(scores[target, dtype], scores[best, dtype]):
                        self.assertAlmostEqual(got, expected, delta=allowed)

    def test_bench_says_which_one_it_used(self):
        for target in self.targets:
            done = on(target, *bench(self.base, "--json"))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["kernels"], target)


class Bench(ProgramTest):
    def test_tells_speed_share_of_the_bound_parts_memory_and_conditions(self):
        told = json.loads(self.run_well(*bench(self.base, "--labelled", "0.5", "--json")))
        step = told["seconds_per_step"]
        self.assertGreater(step, 0)
        self.assertEqual(told["seconds"], [step])
        self.assertAlmostEqual(told["tokens_per_second"] * step, 16, places=6)
        self.assertAlmostEqual(told["useful_tokens_per_second"] * step, 8, delta=1)
        self.assertGreater(told["gemm_gflops"], 0)
        self.assertGreater(told["bound_share"], 0)
        names = {f"{part}_{way}" for part in ("frozen_gemm", "adapter_gemm", "attention", "loss") for way in ("forward", "backward")}
        self.assertEqual(set(told["parts"]), names | {"optimizer", "other"})
        self.assertAlmostEqual(sum(told["parts"].values()), step, delta=1e-6 * step)
        for part in ("frozen_gemm_forward", "adapter_gemm_forward", "attention_forward", "loss_forward", "optimizer"):
            self.assertGreater(told["parts"][part], 0, part)
        self.assertGreater(told["peak_memory_bytes"], 1 << 20)
        self.assertIsInstance(told["features"], list)
        self.assertGreaterEqual(told["threads"], 1)

    def test_training_and_bench_say_what_they_compute_in_and_why(self):
        reason = "(this processor has |fast bfloat16 is known for ).+"
        dry = lmoe("train", self.recipe("dry", bf16="auto"), "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stderr)
        said = re.search(rf"computing in (float32|bfloat16) \(bf16: auto; {reason}\)", dry.stderr)
        self.assertIsNotNone(said, dry.stderr)
        shown = self.run_well(*bench(self.base))
        self.assertRegex(shown, rf"\ncomputing in {said[1]} \(dtype: auto; {reason}\)\n")
        self.assertIn("\ncomputing in float32 (dtype: float32)\n", self.run_well(*bench(self.base, "--dtype", "float32")))
        told = json.loads(self.run_well(*bench(self.base, "--json")))
        self.assertEqual(told["dtype"], {"float32": "f32", "bfloat16": "bf16"}[said[1]])
        self.assertRegex(told["dtype_reason"], f"^auto; {reason}$")


if __name__ == "__main__":
    unittest.main()
