"""Training tokens per second and peak memory on SmolLM2-135M: lmoe's LoRA and L-MoE beside PEFT's LoRA, in one run.

    python bench/train_vs_peft.py --program build/lmoe [--rows 4 --length 512 --steps 5] [--json FILE]

Cases run one after the other, round after round (default 2), each in a process of its own; the median over rounds is printed
as a Markdown table with the machine and the versions. bfloat16 cases run only where the processor multiplies it natively.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def processor():
    info = open("/proc/cpuinfo").read()
    model = next(line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name"))
    flags = next(line for line in info.splitlines() if line.startswith("flags")).split()
    return model, [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f in flags]


def peft(options, dtype):
    gguf = os.path.join(os.path.dirname(os.path.abspath(options.program)), "models", "smollm2-135m.gguf")
    return [sys.executable, os.path.join(HERE, "peft_step.py"), "--gguf", gguf, "--rank", "64", "--dtype", dtype]


def lmoe(options, dtype, settings):
    return [options.program, "bench", "train", "--json", "--dtype", {"float32": "f32", "bfloat16": "bf16"}[dtype], *settings]


def run(command, options):
    shape = ["--rows", str(options.rows), "--length", str(options.length), "--steps", str(options.steps)]
    result = subprocess.run(command + shape, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"train_vs_peft: {' '.join(command)} failed ({result.returncode}):\n{result.stderr[-2000:]}")
    return json.loads(result.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/lmoe")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", help="write all figures here")
    options = parser.parse_args()

    model, features = processor()
    dtypes = ["float32"] + (["bfloat16"] if {"avx512_bf16", "amx_bf16"} & set(features) else [])
    cases = {}
    for dtype in dtypes:
        cases[f"PEFT LoRA r=64, {dtype}"] = peft(options, dtype)
        cases[f"lmoe LoRA r=64, {dtype}"] = lmoe(options, dtype, ["mixture.method=lora", "mixture.experts.rank=64"])
        cases[f"lmoe L-MoE 8 x 8, {dtype}"] = lmoe(options, dtype, ["mixture.method=l-moe"])

    figures = {name: [] for name in cases}
    for number in range(options.rounds):
        for name, command in cases.items():
            print(f"round {number + 1}: {name}", file=sys.stderr, flush=True)
            figures[name].append(run(command, options))

    versions = ", ".join(f"{p} {importlib.metadata.version(p)}" for p in ("torch", "peft", "transformers"))
    print(f"{model} ({' '.join(features)}), {os.cpu_count()} threads; {options.rows} x {options.length} tokens, all labelled; "
          f"{options.rounds} rounds of {options.steps} steps after a warm-up; {versions}\n")
    print("| | trained parameters | tokens/s | s/step | peak memory |\n|---|---|---|---|---|")
    for name, rounds in figures.items():
        speed = statistics.median(r["tokens_per_second"] for r in rounds)
        step = statistics.median(r["seconds_per_step"] for r in rounds)
        peak = max(r["peak_memory_bytes"] for r in rounds)
        print(f"| {name} | {rounds[0]['trained_parameters'] / 1e6:.1f} M | {speed:.0f} | {step:.2f} | {peak / 2**30:.2f} GiB |")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"processor": model, "features": features, "versions": versions, "cases": figures}, file, indent=1)


if __name__ == "__main__":
    main()
