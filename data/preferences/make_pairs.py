"""Makes the preference pairs of this folder from data/tasks/arc and data/tasks/e2e_nlg.

correct: the right answer against an answer to something else; fluent: against itself with its words
in another order. Run from the root of the repository.
"""
import json
import pathlib
import random

COUNTS = {"train": 240, "test": 80}


def shuffled(text, rng):
    words = text.split()
    for _ in range(20):
        other = rng.sample(words, len(words))
        if other != words:
            return " ".join(other)
    return None


def wrong_choice(record, _records, rng):
    return rng.choice([c for i, c in enumerate(record["choices"]) if i != record["label"]])


def other_answer(record, records, rng):
    return rng.choice(records)["response"]


def pairs(records, rejected, rng, count):
    for record in records:
        other = rejected(record, records, rng)
        if len(record["response"].split()) < 3 or not other or other == record["response"]:
            continue
        yield {"prompt": record["prompt"], "chosen": record["response"], "rejected": other}
        count -= 1
        if count == 0:
            return


def main():
    fluent = lambda record, _records, rng: shuffled(record["response"], rng)
    for name, task, correct in [("questions", "arc", wrong_choice),
                                ("descriptions", "e2e_nlg", other_answer)]:
        for kind, rejected in [("correct", correct), ("fluent", fluent)]:
            folder = pathlib.Path("data/preferences") / f"{name}_{kind}"
            folder.mkdir(parents=True, exist_ok=True)
            for split, count in COUNTS.items():
                rng = random.Random(f"{name} {kind} {split}")
                lines = pathlib.Path(f"data/tasks/{task}/{split}.jsonl").read_text(encoding="utf-8")
                records = [json.loads(line) for line in lines.splitlines()]
                with open(folder / f"{split}.jsonl", "w", encoding="utf-8") as out:
                    for pair in pairs(records, rejected, rng, count):
                        out.write(json.dumps(pair, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
