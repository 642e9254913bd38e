"""What the peers need besides their packages: the base as safetensors, finished adapters for X-LoRA, tokenised records.

    python prepare.py --gguf FILE --tasks FOLDER --out FOLDER

The tokens of a record are those that lmoe trains on: prompt, a space, response, end of sequence; the prompt has no labels.
"""

import argparse
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

import timing

TASKS, RECORDS = ("clinc150", "snips", "nl2regex"), 500
ADAPTERS, ADAPTER_RANK = 4, 16


def write_base(gguf, out):
    folder, name = os.path.split(os.path.realpath(gguf))
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.bfloat16,
                                                 quantization_config=GgufConfig(dequantize=True))
    for key in ("quantization_config", "_pre_quantization_dtype"):
        model.config.__dict__.pop(key, None)
    model.save_pretrained(out)
    AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(out)
    path = os.path.join(out, "config.json")
    with open(path) as file:
        config = json.load(file)
    theta = (config.get("rope_parameters") or {}).get("rope_theta", config.get("rope_theta", 100000.0))
    with open(path, "w") as file:  # the spellings that transformers 4 reads
        json.dump(config | {"rope_theta": theta, "rope_scaling": None, "torch_dtype": "bfloat16"}, file, indent=1)


def write_adapters(base, out):
    for i in range(ADAPTERS):
        torch.manual_seed(i)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        config = LoraConfig(r=ADAPTER_RANK, lora_alpha=2 * ADAPTER_RANK, lora_dropout=0.0, target_modules=timing.PROJECTIONS,
                            task_type="CAUSAL_LM", init_lora_weights=False)
        get_peft_model(model, config).save_pretrained(os.path.join(out, str(i)))


def write_records(base, tasks, out):
    tokenizer = AutoTokenizer.from_pretrained(base)
    encode = lambda text: tokenizer.encode(text, add_special_tokens=False)
    records = []
    for task in TASKS:
        with open(os.path.join(tasks, task, "train.jsonl")) as file:
            for line in list(file)[:RECORDS]:
                record = json.loads(line)
                gap = "" if record["prompt"][-1:].isspace() or record["response"][:1].isspace() else " "
                prompt = encode(record["prompt"])
                answer = encode(gap + record["response"]) + [tokenizer.eos_token_id]
                records.append({"ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    with open(out, "w") as file:
        json.dump(records, file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--tasks", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    base = os.path.join(options.out, "base")
    write_base(options.gguf, base)
    write_adapters(base, os.path.join(options.out, "adapters"))
    write_records(base, options.tasks, os.path.join(options.out, "records.json"))


if __name__ == "__main__":
    main()
