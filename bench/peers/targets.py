"""The targets: what each compares, its goal, and whether the figures meet it. Pure.

A figure that is missing makes the value null, with the reason, and the target unmet.
"""

from dataclasses import dataclass

FULL, SMALL = "4x512", "2x256"

# Cases by name; a case of a shape is "NAME SHAPE".
OURS_LORA, OURS_L_MOE = "lmoe LoRA r=64", "lmoe L-MoE 8x8"
OURS_FFN_LORA, OURS_FFN_MIXLORA = "lmoe LoRA r=16 on the FFN", "lmoe MixLoRA top-2 of 8 x r=8 on the FFN"
OURS_MIXLORA, PEER_MIXLORA = "lmoe MixLoRA 8 x r=8", "MoE-PEFT MixLoRA 8 x r=8"
OURS_LORAMOE, PEER_LORAMOE = "lmoe LoRAMoE 8 x r=8", "MoE-PEFT LoRAMoE 8 x r=8"
PEFT_LORA = "PEFT LoRA r=64"
OURS_X_LORA, PEFT_X_LORA = "lmoe X-LoRA 4 x r=16", "PEFT X-LoRA 4 x r=16"
OURS_PACKED, PEFT_PADDED = "lmoe LoRA r=32, packed records", "PEFT LoRA r=32, padded records"
OURS_OP = "lmoe mixture op 8x8"
OURS_UNCACHED, OURS_CACHED = "lmoe upper half, no cache", "lmoe upper half, prefix cached"
FIRST, LATER = "first epoch", "later epochs"

SPEED, PEAK, SHARE = "tokens_per_second", "peak_memory_bytes", "bound_share"


@dataclass(frozen=True)
class Target:
    letter: str
    text: str
    quantity: str
    figure: str          # what is measured
    against: str = ""    # what it is divided by; "" for shares
    at_least: float = None
    at_most: float = None
    decided_by: str = ""  # text of the target that counts instead when `against` ran out of memory


def all_targets(is_quick):
    """Those of the full shapes; with `is_quick` everything at the small one."""
    shape = SMALL if is_quick else FULL
    at = lambda name: f"{name} {shape}"
    targets = [
        Target("a", "step time of L-MoE 8 x 8 / LoRA r=64", SPEED, at(OURS_LORA), at(OURS_L_MOE), at_most=1.08),
        Target("b", "step time of MixLoRA top-2 of 8 on the FFN / LoRA of equal active rank", SPEED,
               at(OURS_FFN_LORA), at(OURS_FFN_MIXLORA), at_most=1.20),
        Target("c", "LoRA r=64, tokens/s / PEFT's", SPEED, at(OURS_LORA), at(PEFT_LORA), at_least=1.3),
        Target("c", "LoRA r=64, peak memory / PEFT's", PEAK, at(OURS_LORA), at(PEFT_LORA), at_most=0.5),
    ]
    for name, ours, peer in (("MixLoRA", OURS_MIXLORA, PEER_MIXLORA), ("LoRAMoE", OURS_LORAMOE, PEER_LORAMOE)):
        for size in [SMALL] if is_quick else [FULL, SMALL]:
            for what, quantity, goal in (("tokens/s", SPEED, {"at_least": 2.0}), ("peak memory", PEAK, {"at_most": 0.4})):
                text = f"{name} (8, r=8) at {size}, {what} / MoE-PEFT's"
                small = text.replace(size, SMALL) if size != SMALL else ""
                targets.append(Target("d", text, quantity, f"{ours} {size}", f"{peer} {size}", decided_by=small, **goal))
    first, later = f"{at(OURS_X_LORA)}, {FIRST}", f"{at(OURS_X_LORA)}, {LATER}"
    return targets + [
        Target("e", "X-LoRA 4 x r=16, first epoch, tokens/s / PEFT's", SPEED, first, at(PEFT_X_LORA), at_least=1.8),
        Target("e", "X-LoRA 4 x r=16, later epochs, tokens/s / PEFT's", SPEED, later, at(PEFT_X_LORA), at_least=2.4),
        Target("e", "X-LoRA 4 x r=16, peak memory / PEFT's", PEAK, later, at(PEFT_X_LORA), at_most=0.4),
        Target("f", "real records, packed, tokens/s / PEFT's with a padding collator", SPEED, OURS_PACKED, PEFT_PADDED, at_least=2.3),
        Target("g", f"share of the GEMM bound, L-MoE 8 x 8, {shape} all labelled", SHARE, at(OURS_L_MOE), at_least=0.85),
        Target("g", f"share of the GEMM bound, packed real records, {shape}", SHARE, at(OURS_PACKED), at_least=0.85),
        Target("h", "share of the bound of its own GEMMs, mixture op forward + backward", SHARE, OURS_OP, at_least=0.85),
        Target("i", "upper half adapted, second epoch, prefix cached / no cache, tokens/s", SPEED,
               f"{OURS_CACHED}, {LATER}", f"{OURS_UNCACHED}, {LATER}", at_least=1.25),
    ]


LETTERS = "abcdefghi"


def quantity_of(figures, name, quantity):
    """(value, "") or (None, why not)."""
    case = name.rsplit(", ", 1)[0]
    if name not in figures and case in figures:  # a phase has no figure of its own when its case failed
        name = case
    figure = figures.get(name, {})
    if "error" in figure:
        return None, f"{name}: {figure['error']}"
    if quantity not in figure:
        return None, f"{name}: not measured"
    value = figure[quantity]
    return (value["median"] if isinstance(value, dict) else value), ""


def result_of(target, figures):
    value, reason = quantity_of(figures, target.figure, target.quantity)
    if value is not None and target.against:
        divisor, reason = quantity_of(figures, target.against, target.quantity)
        value = None if divisor is None else value / divisor
    goal = target.at_least if target.at_least is not None else target.at_most
    met = value is not None and (value >= goal if target.at_least is not None else value <= goal)
    result = {"name": f"{target.letter}: {target.text}", "value": value, "goal": goal,
              "goal_is": "at least" if target.at_least is not None else "at most", "met": met}
    if value is None:
        result["reason"] = reason
        if target.decided_by and "out of memory" in figures.get(target.against, {}).get("error", ""):
            result["decided_by"] = f"{target.letter}: {target.decided_by}"
    return result


def results(figures, letters, is_quick):
    return [result_of(target, figures) for target in all_targets(is_quick) if target.letter in letters]


def met_by_letter(targets):
    """A letter is met when all its targets are, less those for which another one decides."""
    met = {}
    for target in targets:
        if "decided_by" not in target:
            letter = target["name"][0]
            met[letter] = met.get(letter, True) and target["met"]
    return met
