"""Steps of `lmoe train` from its log.jsonl. Pure."""

import math


def steps_of(lines):
    """[{tokens, labelled, seconds, epoch}] without the first step, which warms up. `epoch` counts from 1."""
    steps = []
    for before, line in zip(lines, lines[1:]):
        steps.append({"tokens": line["total_tokens"] - before["total_tokens"],
                      "labelled": line["labelled_tokens"] - before["labelled_tokens"],
                      "seconds": line["elapsed_seconds"] - before["elapsed_seconds"],
                      "epoch": max(math.ceil(line["epoch"] - 1e-9), 1)})
    return steps


def run_of(steps, window):
    if not steps:
        raise ValueError("log.jsonl has too few steps")
    tokens = sum(step["tokens"] for step in steps)
    return {"tokens": [step["tokens"] for step in steps], "seconds": [step["seconds"] for step in steps], "window": window,
            "labelled_share": sum(step["labelled"] for step in steps) / tokens}


def whole_run(lines, window):
    return {"": run_of(steps_of(lines), window)}


def by_epoch(lines, window):
    """The first epoch apart from those after it."""
    steps = steps_of(lines)
    return {"first epoch": run_of([step for step in steps if step["epoch"] == 1], window),
            "later epochs": run_of([step for step in steps if step["epoch"] > 1], window)}
