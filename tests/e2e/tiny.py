"""A tiny random Llama as a Hugging Face folder, tiny tasks, and a recipe that joins them."""

import json
import pathlib
import random
import shutil
import struct

FIXTURE = pathlib.Path(__file__).resolve().parent.parent / "fixtures" / "arch" / "models" / "llama"

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_act": "silu",
    "vocab_size": 280,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "bos_token_id": 0,
    "eos_token_id": 1,
}


def shapes():
    c = CONFIG
    hidden, middle, kv = c["hidden_size"], c["intermediate_size"], c["num_key_value_heads"] * c["head_dim"]
    result = {"model.embed_tokens.weight": [c["vocab_size"], hidden]}
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for name, shape in {
            "self_attn.q_proj": [hidden, hidden],
            "self_attn.k_proj": [kv, hidden],
            "self_attn.v_proj": [kv, hidden],
            "self_attn.o_proj": [hidden, hidden],
            "mlp.gate_proj": [middle, hidden],
            "mlp.up_proj": [middle, hidden],
            "mlp.down_proj": [hidden, middle],
            "input_layernorm": [hidden],
            "post_attention_layernorm": [hidden],
        }.items():
            result[prefix + name + ".weight"] = shape
    result["model.norm.weight"] = [hidden]
    result["lm_head.weight"] = [c["vocab_size"], hidden]
    return result


def random_tensors(seed):
    rng = random.Random(seed)
    tensors = {}
    for name, shape in shapes().items():
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        spread = 0.0 if len(shape) == 1 else shape[1] ** -0.5
        mean = 1.0 if len(shape) == 1 else 0.0
        tensors[name] = (shape, struct.pack(f"<{count}f", *(rng.gauss(mean, spread) for _ in range(count))))
    return tensors


def write_safetensors(path, tensors, dtype="F32"):
    header, offset = {}, 0
    for name, (shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(content)]}
        offset += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(content for _, content in tensors.values()))


def write_base(folder, seed=1):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(FIXTURE / name, folder / name)
    write_safetensors(folder / "model.safetensors", random_tensors(seed))
    return folder


def write_lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def write_tasks(folder):
    """Two tasks a tiny model can begin to learn: the opposite of a word, and the larger of two digits."""
    opposites = [("hot", "cold"), ("big", "small"), ("up", "down"), ("dark", "light"), ("old", "new")]
    words = [{"prompt": f"{a} is not ", "completion": b} for a, b in opposites]
    digits = [{"prompt": f"{a}{b} max ", "completion": str(max(a, b))} for a in range(5) for b in range(5)]
    for name, records in {"words": words * 4, "digits": digits}.items():
        for split in ("train", "test"):
            write_lines(folder / name / f"{split}.jsonl", records)
    return folder


def write_recipe(path, base, tasks, **settings):
    """Recipes may be JSON, which is YAML too."""
    recipe = {
        "base_model": str(base),
        "mixture": {"method": "l-moe", "num_experts": 2, "experts": {"rank": 4}},
        "datasets": [{"path": str(tasks / "words")}, {"path": str(tasks / "digits")}],
        "eval_datasets": [{"path": str(tasks / name), "split": "test"} for name in ("words", "digits")],
        "sequence_len": 64,
        "micro_batch_size": 2,
        "max_steps": 30,
        "learning_rate": 0.01,
        "bf16": "false",
        "seed": 7,
        "output_dir": str(path.with_suffix("")),
    }
    path.write_text(json.dumps(recipe | settings, indent=1))
    return path
