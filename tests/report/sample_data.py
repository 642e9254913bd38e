"""Invents the data of a run, so that the report can be looked at without training: python sample_data.py > data.json"""

import json
import math
import random

EXPERTS, LAYERS, STEPS = 8, 30, 400
TASKS = ["clinc150", "snips", "scan", "wikisql", "nl2regex"]
PARTS = ["q_proj", "v_proj", "gate_proj"]
SITES = [f"layers.{layer}.{part}" for layer in range(LAYERS) for part in PARTS]
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u2028<!--"


def softmax(values):
    powers = [math.exp(v) for v in values]
    return [p / sum(powers) for p in powers]


def gate(rng, sharpness, favourite):
    return softmax([sharpness * (2.0 * (e == favourite) + rng.gauss(0, 0.6)) for e in range(EXPERTS)])


def entropy(weights):
    return -sum(w * math.log(w) for w in weights if w > 0)


def log_entries(rng):
    for step in range(1, STEPS + 1):
        progress = step / STEPS
        entry = {"step": step, "total_steps": STEPS, "loss": 0.55 + 3.1 * math.exp(-6 * progress) + rng.gauss(0, 0.09),
                 "lr": 3e-3 * min(1, step / 24) * 0.5 * (1 + math.cos(math.pi * progress)), "epoch": 2 * progress,
                 "tokens_per_second": 310 + rng.gauss(0, 14), "total_tokens": 512 * step,
                 "grad_norm": 0.5 + 2.5 * math.exp(-9 * progress) + abs(rng.gauss(0, 0.12)), "peak_memory_bytes": 1420000000,
                 "balance": {"cv2": 0.02 + 0.3 * math.exp(-4 * progress)}}
        if step == 1:
            entry["balance_if_uniform"] = {"cv2": 0.0}
        if step % 5 == 0:
            gates = [gate(rng, 0.1 + 1.3 * progress * (0.4 + 0.6 * (i // len(PARTS)) / LAYERS), (i * 7) % EXPERTS)
                     for i in range(len(SITES))]
            entry["gate_entropy"] = [entropy(g) for g in gates]
            entry["load"] = gates
        if step % 50 == 0:
            entry["eval_loss"] = 0.72 + 2.6 * math.exp(-6 * progress)
        yield entry


def scores(rng):
    for task in TASKS:
        for variant, score in (("base", 0.01 * rng.random()), ("LoRA", 0.35 + 0.3 * rng.random()), ("L-MoE", 0.4 + 0.35 * rng.random())):
            half = 1.96 * math.sqrt(score * (1 - score) / 300)
            yield {"task": task, "variant": variant, "metric": "exact_match", "score": score, "n": 300,
                   "source": f"data/tasks/{task}/test.jsonl", "training_data": task == "scan",
                   "ci_low": max(0, score - half), "ci_high": min(1, score + half)}
    for variant, score in (("base", 21.4), ("LoRA", 6.1), ("L-MoE", 5.7)):
        yield {"task": "tldr_es", "variant": variant, "metric": "perplexity", "score": score, "n": 300,
               "ci_low": score * 0.95, "ci_high": score * 1.05}


def samples(rng):
    texts = [("clinc150", "User request: can you tell me where to get a w2\nIntent:", "w2", "w2"),
             ("snips", "Turn the request into JSON with its intent and slots.\nRequest: there is fog in Grand Lake Nebraska",
              '{"intent": "GetWeather", "slots": {"condition_description": "fog", "city": "Grand Lake", "state": "Nebraska"}}',
              '{"intent": "GetWeather", "slots": {"condition_description": "fog", "city": "Grand Lake"}}'),
             ("scan", "Command: run opposite left thrice after look opposite left\nActions:",
              "left left look left left run left left run left left run", "left left look left left run left left run left left run"),
             ("wikisql", "Table t has the columns: attendance, date, result\nQuestion: What is Result, when Date is 19 August 1992?\nSQL:",
              'SELECT result FROM t WHERE date = "19 August 1992"', 'SELECT result FROM t WHERE date = "19 August"'),
             (HOSTILE, HOSTILE, HOSTILE, HOSTILE.replace("owned", "taken"))]
    for number, (task, prompt, expected, output) in enumerate(texts):
        tokens = []
        while output:
            size = rng.randint(1, 6)
            weights = gate(rng, 1.2, (3 * number) % EXPERTS)
            expert = max(range(EXPERTS), key=weights.__getitem__)
            tokens.append({"text": output[:size], "expert": expert, "weight": weights[expert], "weights": weights})
            output = output[size:]
        yield {"task": task, "variant": "L-MoE", "prompt": prompt, "expected": expected, "tokens": tokens}


def comparison(rng):
    for name, experts, rank in (("LoRA", 1, 68), ("L-MoE", EXPERTS, 8), (HOSTILE, 4, 16)):
        method = {"method": name, "experts": experts, "rank": rank, "trained_parameters": 5000000 + 1000 * rank, "difference": 0.001 * rank,
                  "learning_rate": 0.0003, "seconds_per_step": 1.1 + 0.1 * experts, "tokens_per_second": 700.0, "peak_memory_bytes": 1.4e9,
                  "curve": [{"lr": lr, "value": value, "seeds": [{"seed": s, "value": value + rng.gauss(0, 0.02)} for s in (1, 2)]}
                            for lr, value in ((0.0001, 0.9), (0.0003, 0.7), (0.001, 0.8))]}
        if experts > 1:
            method["router"] = {"sites": [f"layers.{i}" for i in range(LAYERS)], "usage": [
                {"task": task, "weights": [gate(rng, 1.0, i % EXPERTS)[:experts - i % 2] for i in range(LAYERS)]} for task in TASKS]}
        yield method


def sample_data():
    rng = random.Random(7)
    return {
        "title": "runs/l-moe",
        "subtitle": "L-MoE with 8 experts of rank 8 on q, v and gate, trained on five tasks with smollm2-135m.",
        "facts": [{"label": "Base model", "value": "smollm2-135m", "note": "135 M parameters, frozen"},
                  {"label": "Method", "value": "L-MoE", "note": "8 experts, rank 8"},
                  {"label": "Trained parameters", "value": "7.4 M", "note": "5.5 % of the base"},
                  {"label": "Training", "value": "11 min 42 s", "note": "400 steps, 204,800 tokens"},
                  {"label": "Validation loss", "value": "0.727", "note": "from 3.31"},
                  {"label": "Peak memory", "value": "1.42 GB"}],
        "log": list(log_entries(rng)),
        "router": {"sites": SITES, "usage": [
            {"task": task, "weights": [gate(rng, 0.5 + 0.8 * (i // len(PARTS)) / LAYERS, (2 * t + i // 20) % EXPERTS) for i in range(len(SITES))]}
            for t, task in enumerate(TASKS)]},
        "prompts": {"usage": [
            {"task": task, "records": 32, "share": [(i + t) % 3 / 2 for i in range(12)], "nearest": [1 / 12] * 12}
            for t, task in enumerate([*TASKS, HOSTILE])]},
        "scores": list(scores(rng)),
        "comparison": {"chosen_by": "validation loss", "methods": list(comparison(rng))},
        "ablation": [{"task": task, "expert": e, "change": (-0.4 * rng.random() if e == (2 * t) % EXPERTS else rng.gauss(-0.01, 0.02))}
                     for t, task in enumerate(TASKS) for e in range(EXPERTS)],
        "samples": list(samples(rng)),
        "recipe": "base: smollm2-135m\nmixture:\n  method: l-moe\n  num_experts: 8\n  lora_r: 8\ntraining:\n  learning_rate: 0.003\n",
    }


if __name__ == "__main__":
    print(json.dumps(sample_data()))
