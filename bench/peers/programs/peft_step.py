"""Training steps of PEFT: LoRA or X-LoRA on random tokens, or LoRA on records behind a padding collator.

The seven projections, AdamW, no checkpointing, attention by SDPA, as in `lmoe bench train` and `lmoe train`.
"""

import json
import random

import timing
import torch
from peft import LoraConfig, XLoraConfig, get_peft_model
from transformers import AutoModelForCausalLM


def load_base(options):
    dtype = getattr(torch, options.dtype)
    return AutoModelForCausalLM.from_pretrained(options.base, dtype=dtype, attn_implementation="sdpa")


def adapted(options):
    base = load_base(options)
    if options.adapters:  # its classifier learns, the adapters stay: PEFT's default
        base.config.use_cache = False
        adapters = {str(i): path for i, path in enumerate(options.adapters)}
        return get_peft_model(base, XLoraConfig(task_type="CAUSAL_LM", hidden_size=base.config.hidden_size, xlora_depth=1,
                                                adapters=adapters))
    return get_peft_model(base, LoraConfig(r=options.rank, lora_alpha=2 * options.rank, lora_dropout=0.0,
                                           target_modules=timing.PROJECTIONS, task_type="CAUSAL_LM"))


def padded_batches(path, rows):
    """Endless: records in random order, as many per batch as asked, padded to the longest of them."""
    with open(path) as file:
        records = json.load(file)
    order = random.Random(0)
    while True:
        order.shuffle(records)
        for first in range(0, len(records) - rows + 1, rows):
            chosen = records[first:first + rows]
            width = max(len(record["ids"]) for record in chosen)
            pad = lambda values, filler: torch.tensor([v + [filler] * (width - len(v)) for v in values])
            yield {"input_ids": pad([record["ids"] for record in chosen], 0),
                   "labels": pad([record["labels"] for record in chosen], -100),
                   "attention_mask": pad([[1] * len(record["ids"]) for record in chosen], 0)}


def main():
    parser = timing.parser(__doc__)
    parser.add_argument("--adapters", nargs="+", help="finished adapters: X-LoRA over them")
    parser.add_argument("--records", help="tokenised records: `--rows` of them per batch, padded")
    options = parser.parse_args()
    timing.use_threads()

    model = adapted(options)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    if options.records:
        batches = padded_batches(options.records, options.rows)
    else:
        ids = timing.random_ids(options, model.config.vocab_size)
        batches = iter(lambda: {"input_ids": ids, "labels": ids}, None)

    def step(_):
        batch = next(batches)
        model(**batch, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return int(batch["attention_mask"].sum()) if "attention_mask" in batch else batch["input_ids"].numel()

    timing.report(timing.time_steps(step, options.steps), sum(p.numel() for p in trained))


if __name__ == "__main__":
    main()
