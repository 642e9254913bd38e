"""Makes the records of this folder from data/tasks/scan and data/tasks/clinc150.

Each has two instructions that do not see each other, and an answer that sees both. Run from the root of the repository.
"""
import json
import pathlib
import random

COUNTS = {"train": 1000, "test": 100}
MOST_ACTIONS = 6


def records_of(task, split):
    lines = pathlib.Path(f"data/tasks/{task}/{split}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in lines.splitlines()]


def first_line(record):
    return record["prompt"].split("\n")[0] + "\n"


def main():
    folder = pathlib.Path("data/passages/two_instructions")
    folder.mkdir(parents=True, exist_ok=True)
    for split, count in COUNTS.items():
        rng = random.Random(f"two instructions {split}")
        commands = [r for r in records_of("scan", split) if len(r["response"].split()) <= MOST_ACTIONS]
        requests = records_of("clinc150", split)
        with open(folder / f"{split}.jsonl", "w", encoding="utf-8") as out:
            for _ in range(count):
                command, request = rng.choice(commands), rng.choice(requests)
                record = {"prompt": [{"text": first_line(command), "passage": 1}, {"text": first_line(request), "passage": 2},
                                     "Actions and intent:"],
                          "response": f"{command['response']}; {request['response']}"}
                out.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
