"""What every method costs in training, relative to LoRA of as many parameters, and what more experts cost at the same top-k.

    python bench/methods.py [--program build/lmoe] [--rows 4 --length 256 --steps 5] [--parameters N] [--rounds 2]
                            [--methods lora,l-moe,…] [--skip-growth] [--json FILE] [settings of `lmoe bench train` …]

Two Markdown tables. Each case is a process of its own; cases run one after the other, round after round, and the median over
rounds counts, so that a disturbance of the machine hits no single method. Only a machine that does nothing else gives figures
to believe.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

GROWTH = (4, 8, 16, 32, 64)


def lmoe(options, *arguments):
    done = subprocess.run([options.program, *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"lmoe {' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def bench(options, *settings):
    shape = ["--rows", str(options.rows), "--length", str(options.length), "--steps", str(options.steps), "--dtype", options.dtype]
    return json.loads(lmoe(options, "bench", "train", "--json", *shape, *settings, *options.settings).splitlines()[-1])


def measure(options, cases):
    """Median over the rounds by case, or the error of a case that cannot run."""
    found = {name: [] for name in cases}
    errors = {}
    for number in range(options.rounds):
        for name, settings in cases.items():
            if name in errors:
                continue
            print(f"methods: round {number + 1} of {options.rounds}: {name}", file=sys.stderr)
            try:
                found[name].append(bench(options, *settings))
            except RuntimeError as error:
                errors[name] = str(error)
    results = {}
    for name, runs in found.items():
        if name in errors:
            results[name] = {"error": errors[name]}
            continue
        results[name] = runs[0] | {key: statistics.median(run[key] for run in runs)
                                   for key in ("seconds_per_step", "tokens_per_second", "peak_memory_bytes")}
    return results


def table(results, columns):
    reference = next((r for r in results.values() if "error" not in r), None)
    print("| " + " | ".join(title for title, _ in columns) + " |")
    print("|---" + "|---:" * (len(columns) - 1) + "|")
    for name, result in results.items():
        if "error" in result:
            print(f"| {name} | {result['error']} |" + " |" * (len(columns) - 2))
        else:
            print("| " + " | ".join(text(name, result, reference) for _, text in columns) + " |")
    print()


COST = [
    ("trained parameters", lambda name, r, ref: f"{r['trained_parameters']:,}"),
    ("multiply-adds per token", lambda name, r, ref: f"{r['adapter_multiply_adds'] / 1e6:.2f} M"),
    ("s/step", lambda name, r, ref: f"{r['seconds_per_step']:.3f}"),
    ("relative", lambda name, r, ref: f"{r['seconds_per_step'] / ref['seconds_per_step']:.2f}"),
    ("peak memory, GB", lambda name, r, ref: f"{r['peak_memory_bytes'] / 1e9:.2f}"),
    ("relative", lambda name, r, ref: f"{r['peak_memory_bytes'] / ref['peak_memory_bytes']:.2f}"),
    ("forecast, GB", lambda name, r, ref: f"{r['forecast_bytes'] / 1e9:.2f}"),
    ("forecast / peak", lambda name, r, ref: f"{r['forecast_bytes'] / r['peak_memory_bytes']:.2f}"),
]


def methods_table(options):
    names = options.methods.split(",") if options.methods else lmoe(options, "methods", "--names").split()
    names = ["lora"] + [name for name in names if name != "lora"]
    results = measure(options, {name: [f"mixture.method={name}", "--parameters", str(options.parameters)] for name in names})
    print(f"Every method with about {options.parameters:,} trained parameters, {options.rows} × {options.length} tokens, relative to lora:\n")
    table(results, [("method", lambda name, r, ref: name),
                    ("experts × rank", lambda name, r, ref: f"{r['experts']} × {r['rank']}"), *COST])
    return results


def growth_table(options):
    """The multiply-adds of the experts stay the same, those of the gates grow; the clock tells what the program makes of it."""
    settings = ["mixture.method=l-moe", "mixture.experts.rank=4", "mixture.select.kind=top_k", "mixture.select.k=2"]
    results = measure(options, {str(count): [*settings, f"mixture.experts.count={count}"] for count in GROWTH})
    print("L-MoE with top-2 of experts of rank 4, relative to the fewest experts:\n")
    table(results, [("experts", lambda name, r, ref: name), *COST])
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/lmoe")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--parameters", type=int, default=5_000_000)
    parser.add_argument("--methods", help="names with commas; default: all of `lmoe methods`")
    parser.add_argument("--skip-growth", action="store_true", help="only the table of methods")
    parser.add_argument("--json", help="write all figures here")
    options, options.settings = parser.parse_known_args()
    options.program = os.path.abspath(options.program)

    figures = {"methods": methods_table(options)}
    if not options.skip_growth:
        figures["growth"] = growth_table(options)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(figures, file, indent=1)
    sys.exit(any("error" in result for part in figures.values() for result in part.values()))


if __name__ == "__main__":
    main()
