"""What the step programs of the peers share: timed steps and one line of JSON at the end."""

import argparse
import json
import os
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch  # noqa: E402

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def parser(text):
    made = argparse.ArgumentParser(description=text)
    made.add_argument("--base", required=True, help="folder of the base model")
    made.add_argument("--rank", type=int, default=64)
    made.add_argument("--rows", type=int, default=4)
    made.add_argument("--length", type=int, default=512)
    made.add_argument("--steps", type=int, default=5)
    made.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    return made


def use_threads():
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def random_ids(options, vocab_size):
    return torch.randint(3, vocab_size, (options.rows, options.length), generator=torch.Generator().manual_seed(0))


def time_steps(step, count):
    """`step(i)` returns how many tokens it trained on; the first call warms up."""
    tokens, seconds = [], []
    for i in range(count + 1):
        begin = time.perf_counter()
        done = step(i)
        if i > 0:
            seconds.append(time.perf_counter() - begin)
            tokens.append(done)
    return {"tokens": tokens, "seconds": seconds}


def report(result, trained_parameters):
    print(json.dumps(result | {"trained_parameters": trained_parameters}), flush=True)
