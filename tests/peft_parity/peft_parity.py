"""Each expert of a mixture, loaded by peft, gives the logits lmoe gives with a one-hot gate; and an
adapter that peft has written can take an expert's place.

    peft_parity.py DRIVER BASE_FOLDER
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

# Largest difference relative to the largest logit; float32 on both sides.
TOLERANCE = 1e-5

SECTIONS = {
    "deltas": "{experts: {count: 2, rank: 4, names: [math, code]}}",
    "factors, block gate": "{experts: {count: 2, rank: 4}, apply: factors,"
    " gate: {source: block_input, share: block}}",
    "rank-stabilised": "{experts: {count: 2, rank: 4, alpha: 3, use_rslora: true}}",
    "two targets": "{experts: {count: 2, rank: 3, alpha: 1}, target_modules: [v_proj, down_proj]}",
    "DoRA": "{method: dora, experts: {rank: 4}}",
    "plain LoRA": "{method: lora, experts: {rank: 5}}",
}


def base_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids])).logits[0].float()


def compare(what, ours, theirs, base):
    ours = torch.tensor(ours)
    scale = theirs.abs().max()
    error = ((ours - theirs).abs().max() / scale).item()
    effect = ((theirs - base).abs().max() / scale).item()
    print(f"{what}: difference {error:.1e}, effect of the expert {effect:.1e}")
    assert effect > 1000 * TOLERANCE, f"{what}: the adapter does next to nothing, so nothing was tested"
    assert error <= TOLERANCE, f"{what}: lmoe and peft differ by {error}"


def check_experts(driver, base, name, section, folder):
    run = folder / name.replace(" ", "-")
    run.mkdir()
    command = [driver, "make", str(base), str(run), section]
    ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    plain = logits_of(base_model(base), ours["ids"])
    for expert, logits in ours["experts"].items():
        with warnings.catch_warnings():
            # peft warns, and goes on, when keys of the file fit nothing or the model lacks some.
            warnings.simplefilter("error", UserWarning)
            model = PeftModel.from_pretrained(base_model(base), str(run / "experts" / expert))
        compare(f"{name}, {expert}", logits, logits_of(model, ours["ids"]), plain)


def check_adapter_of_peft(driver, base, folder):
    run = folder / "from-peft"
    run.mkdir()
    section = "{method: lora, experts: {rank: 4, alpha: 6, names: [foreign]}, target_modules: [q_proj, up_proj]}"
    subprocess.run([driver, "make", str(base), str(run), section], check=True, capture_output=True)
    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "up_proj"], init_lora_weights=False)
    model = get_peft_model(base_model(base), config).eval()
    shutil.rmtree(run / "experts" / "foreign")
    model.save_pretrained(str(run / "experts" / "foreign"))
    command = [driver, "read", str(base), str(run)]
    ours = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    plain = logits_of(base_model(base), ours["ids"])
    compare("written by peft", ours["experts"]["foreign"], logits_of(model, ours["ids"]), plain)


def main():
    driver, base = sys.argv[1], pathlib.Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        for name, section in SECTIONS.items():
            check_experts(driver, base, name, section, pathlib.Path(folder))
        check_adapter_of_peft(driver, base, pathlib.Path(folder))


if __name__ == "__main__":
    main()
