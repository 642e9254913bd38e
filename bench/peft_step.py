"""One training step of PEFT's LoRA, repeated: the figure ours is compared with. Started by train_vs_peft.py.

Prints one line of JSON: seconds per step, tokens per second, peak memory. Random token ids, all positions labelled, the seven
projections, AdamW, no checkpointing, as in `lmoe bench train`.
"""

import argparse
import json
import os
import resource
import statistics
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gguf", required=True, help="the base model")
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    folder, name = os.path.split(os.path.realpath(options.gguf))
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, dtype=getattr(torch, options.dtype), attn_implementation="sdpa"
    )
    config = LoraConfig(
        r=options.rank, lora_alpha=2 * options.rank, lora_dropout=0.0, target_modules=PROJECTIONS, task_type="CAUSAL_LM"
    )
    model = get_peft_model(model, config)
    model.train()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, model.config.vocab_size, (options.rows, options.length), generator=generator)

    seconds = []
    for step in range(options.steps + 1):  # the first one warms up
        begin = time.perf_counter()
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if step > 0:
            seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds)
    print(
        json.dumps(
            {
                "trained_parameters": sum(p.numel() for p in trained),
                "seconds_per_step": median,
                "seconds": seconds,
                "tokens_per_second": options.rows * options.length / median,
                "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
