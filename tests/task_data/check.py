"""Checks data/tasks: fields, answers that are among the choices, no test prompt in train, counts as in the READMEs."""

import json
import pathlib
import re
import sys


def rows(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def check_row(row):
    for key in ("prompt", "response"):
        assert isinstance(row[key], str) and row[key] and row[key] == row[key].strip(), (key, row)
    if "choices" in row:
        assert row["choices"][row["label"]] == row["response"], row


def check_task(folder, index):
    files = {split: rows(folder / f"{split}.jsonl") for split in ("train", "test")}
    for split, content in files.items():
        for row in content:
            check_row(row)
        stated = re.search(rf"`{split}\.jsonl` \| ([\d,]+) \|", (folder / "README.md").read_text()).group(1)
        assert int(stated.replace(",", "")) == len(content), (folder.name, split, stated, len(content))
    train, test = ({row["prompt"] for row in files[split]} for split in ("train", "test"))
    assert not train & test, (folder.name, "test prompts in train", sorted(train & test)[:3])
    assert (folder / "LICENSE").stat().st_size > 500, folder.name
    assert re.search(rf"tasks/{folder.name}\) .* \| {len(files['train']):,} \| {len(files['test']):,} \|", index), folder.name


def main():
    data = pathlib.Path(sys.argv[1])
    folders = sorted(p for p in (data / "tasks").iterdir() if p.is_dir())
    assert len(folders) == 10, folders
    for folder in folders:
        check_task(folder, (data / "README.md").read_text())
    print(f"task data: {len(folders)} tasks are sound")


if __name__ == "__main__":
    main()
