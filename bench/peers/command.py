"""bench/compare_peers --train: training here beside PEFT and MoE-PEFT, in one run, against the targets.

    bench/compare_peers --train                        everything, as a Markdown table
    bench/compare_peers --train --json figures.json    the same, and all figures in a file
    bench/compare_peers --train --quick --targets a,c  some targets, 2 x 256 tokens

Installs the peers, pinned, under ~/.cache/lmoe the first time. Needs `make build` and a machine that does nothing else.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass

from peers import child, environments, machine, material, step_work, table, targets
from peers.cases import cases_of
from peers.figures import summaries
from peers.rounds import measure


@dataclass
class Setup:
    """What cases are made of."""
    program: str
    bench_program: str
    python: str
    moe_peft_python: str
    material: material.Material
    scratch: str
    steps: int
    dtype: str
    is_quick: bool
    tasks: str = material.TASKS
    record_tasks: tuple = material.RECORD_TASKS
    write_long_texts: object = staticmethod(material.write_long_texts)


def letters_of(text):
    letters = [letter.strip() for letter in text.split(",") if letter.strip()]
    unknown = [letter for letter in letters if letter not in targets.LETTERS or len(letter) != 1]
    if unknown or not letters:
        raise argparse.ArgumentTypeError(f"given \"{','.join(unknown)}\", expected letters of {','.join(targets.LETTERS)}")
    return sorted(set(letters))


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"given {text}, expected a whole number from 1 on")
    return int(text)


def writable(path):
    """Refused now rather than when everything was measured."""
    folder = os.path.dirname(os.path.abspath(path))
    if path != "-" and (os.path.isdir(path) or not os.access(folder, os.W_OK)):
        raise argparse.ArgumentTypeError(f"given {path}, expected a file in a folder that can be written to")
    return path


def parse(arguments):
    parser = argparse.ArgumentParser(prog="compare_peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", action="store_true", required=True, help="compare training")
    parser.add_argument("--json", nargs="?", const="-", type=writable, metavar="FILE", help="figures as JSON: in FILE beside the table, or instead of it")
    parser.add_argument("--targets", type=letters_of, default=list(targets.LETTERS), help="letters with commas; default: all")
    parser.add_argument("--quick", action="store_true", help="2 x 256 tokens instead of 4 x 512")
    parser.add_argument("--rounds", type=positive, default=2)
    parser.add_argument("--steps", type=positive, default=5, help="timed steps of a case in each round, after one that warms up")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=positive, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--program", default=os.path.join(environments.ROOT, "build", "lmoe"))
    return parser.parse_args(arguments)


def result_of(measured, options, config, lengths, versions):
    """Everything that is printed or written, from what was measured."""
    figures = summaries(measured.runs, measured.errors)
    add_packed_share(figures, config, lengths)
    found = targets.results(figures, options.targets, options.quick)
    return {"complete": measured.complete, "targets": found, "met": targets.met_by_letter(found),
            "machine": machine.describe(options.threads), "versions": versions, "dtype": options.dtype,
            "rounds": options.rounds, "steps": options.steps, "figures": figures}


def add_packed_share(figures, config, lengths):
    """`lmoe train` does not tell its share of the bound; it follows from its speed and the GEMM rate of `lmoe bench train`."""
    rates = [figure["gemm_gflops"] for name, figure in figures.items() if name.startswith(targets.OURS_L_MOE) and "gemm_gflops" in figure]
    for name, packed in figures.items():
        if name.startswith(targets.OURS_PACKED) and "tokens_per_second" in packed and rates:
            rank = 32
            packed["bound_share"] = step_work.bound_share(
                config, rank * step_work.lora_parameters_per_rank(config), packed["labelled_share"], lengths,
                packed["tokens_per_second"]["median"], rates[0])


def write_result(result, target):
    text = json.dumps(result, indent=1) + "\n"
    if target == "-":
        sys.stdout.write(text)
        return
    if target:
        with open(f"{target}.partial", "w") as file:
            file.write(text)
        os.replace(f"{target}.partial", target)
    sys.stdout.write(table.markdown(result))


def environment_of(threads):
    hidden = ("PYTHONPATH", "PYTHONHOME")
    kept = {key: value for key, value in os.environ.items() if key not in hidden}
    return kept | {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def interrupt(*_):
    raise KeyboardInterrupt


def set_up(options, scratch):
    program = os.path.abspath(options.program)
    bench_program = os.path.join(os.path.dirname(program), "lmoe_bench")
    for path in [program] + [bench_program] * ("h" in options.targets):
        if not os.path.exists(path):
            sys.exit(f"compare_peers: there is no {path}; hint: run `make build` first")
    python, cache = environments.project_python(), environments.cache_folder()
    moe_peft = environments.moe_peft_python(cache, python) if "d" in options.targets else ""
    return Setup(program, bench_program, python, moe_peft, material.prepare(cache, python, program), scratch, options.steps,
                 options.dtype, options.quick)


def versions_of(setup):
    found = {"lmoe": machine.program_version(setup.program)} | machine.versions(setup.python, ["torch", "transformers", "peft"])
    if setup.moe_peft_python:
        theirs = machine.versions(setup.moe_peft_python, ["moe-peft", "transformers"])
        found |= {"moe-peft": theirs["moe-peft"], "transformers beside moe-peft": theirs["transformers"]}
    return found


def main(arguments):
    options = parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)
    with tempfile.TemporaryDirectory(prefix="compare-peers-") as scratch:
        try:
            setup = set_up(options, scratch)
            cases, versions = cases_of(options.targets, setup), versions_of(setup)
        except KeyboardInterrupt:
            print("compare_peers: interrupted before anything was measured", file=sys.stderr)
            return 130
        except subprocess.CalledProcessError as error:
            print(f"compare_peers: this did not work (exit code {error.returncode}): {' '.join(error.cmd)}", file=sys.stderr)
            return 1
        environment, limit = environment_of(options.threads), machine.memory_limit()
        measured = measure(cases, options.rounds, lambda case: child.run(
            case.command, environment, memory_limit=limit if case.is_peer else 0, folder=scratch))
        write_result(result_of(measured, options, setup.material.config(), setup.material.lengths(), versions), options.json)
    return 0 if measured.complete else 130
