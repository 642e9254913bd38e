"""What a user gets wrong: exit code 2, one message that names the culprit, and nothing half-written."""

import itertools
import json
import resource
import shutil
import struct
import subprocess
import unittest

import tiny
from program import PROGRAM, ProgramTest, files_of, lmoe


def without(tensors, name):
    return {key: value for key, value in tensors.items() if key != name}


class Refusals(ProgramTest):
    numbers = itertools.count()

    def fresh(self, name):
        return f"{name}{next(self.numbers)}"

    def refused(self, *arguments, words, code=2, **how):
        done = lmoe(*arguments, **how)
        self.assertEqual(done.returncode, code, f"lmoe {arguments}\n{done.stdout}\n{done.stderr}")
        complaints = [line for line in done.stderr.splitlines() if "error" in line]
        self.assertEqual(len(complaints), 1, done.stderr)
        self.assertRegex(complaints[0], r"^lmoe: error: \[[a-z_ ]+\] ")
        for word in words:
            self.assertIn(str(word), complaints[0])

    def train_refused(self, *overrides, words, **settings):
        name = self.fresh("train")
        self.refused("train", self.recipe(name, **settings), *overrides, words=words)
        self.assertFalse((self.folder / name).exists())

    def base_copy(self):
        return shutil.copytree(self.base, self.folder / self.fresh("base"))

    def base_with(self, tensors, **how):
        base = self.base_copy()
        tiny.write_safetensors(base / "model.safetensors", tensors, **how)
        return base


class BadInput(Refusals):
    def test_arguments(self):
        self.refused("trian", words=["trian", "train"])
        self.refused("evaluate", words=['nearest is "eval"'])
        self.refused("inference", words=['nearest is "generate"'])
        self.refused("serve", words=["serve", "not built yet"])
        self.refused("train", words=["recipe"])
        self.refused("methods", "--nmaes", words=["--nmaes"])
        self.refused("methods", "l-mo", words=["l-mo", "l-moe"])
        self.refused("methods", "--base", self.base, words=["--base"])
        self.refused("methods", "lora", "--base", self.folder / "no", words=[self.folder / "no"])
        self.refused("generate", "--base", self.base, words=["--prompt"])
        self.refused("generate", "--base", self.base, "--prompt", "a", "--system", "b", words=["--system cannot act", "--chat"])
        self.refused("generate", "--base", self.base, "--prompt", "a", "--router", words=["--router cannot act"])
        self.refused("score", "--base", self.base, "--text", self.folder / "none.txt", words=["none.txt"])
        self.refused("score", "--base", self.base, "--text", self.folder, words=[self.folder])

    def test_texts(self):
        for word, content in {"no tokens": b"", "bytes.txt": b"good \xff\xfe bad"}.items():
            (self.folder / "bytes.txt").write_bytes(content)
            self.refused("score", "--base", self.base, "--text", self.folder / "bytes.txt", words=[word])

    def test_recipes(self):
        self.refused("train", self.folder / "none.yaml", words=["no such recipe", "none.yaml"])
        broken = self.folder / "broken.yaml"
        broken.write_text("base_model: x\ndatasets: [\n")
        self.refused("train", broken, words=["broken.yaml:3"])
        self.train_refused(words=["learning_rat", "learning_rate", ".yaml:"], learning_rat=1)
        self.train_refused("mixture.num_expert=4", words=["num_expert", "num_experts"])

    def test_impossible_values(self):
        for setting in ("learning_rate=-1", "learning_rate=nan", "sequence_len=0", "max_steps=0", "micro_batch_size=x",
                        "mixture.experts.count=0", "mixture.experts.rank=0", "mixture.select.k=3", "val_set_size=-1"):
            with self.subTest(setting):
                key = setting.partition("=")[0].rpartition(".")[2]
                self.train_refused(setting, words=[key])

    def test_targets_that_hit_nothing(self):
        self.train_refused("mixture.target_modules=[q_porj]", words=["q_porj"])

    def test_missing_parts_of_a_base(self):
        self.train_refused(base_model=str(self.folder / "nothing"), words=[self.folder / "nothing"])
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            with self.subTest(name):
                base = self.base_copy()
                (base / name).unlink()
                self.train_refused(base_model=str(base), words=[base, name.partition(".")[0]])

    def test_malformed_json_of_a_base(self):
        for name in ("config.json", "tokenizer.json"):
            with self.subTest(name):
                base = self.base_copy()
                content = (base / name).read_bytes()
                (base / name).write_bytes(content[: len(content) // 2])
                self.train_refused(base_model=str(base), words=[base / name])

    def test_damaged_safetensors(self):
        good = (self.base / "model.safetensors").read_bytes()
        for name, bad in {
            "empty": b"",
            "no header": good[:7],
            "header cut": good[:100],
            "data cut": good[:-4],
            "data left over": good + b"1234",
            "header as long as 2^64 - 5": struct.pack("<Q", 2**64 - 5) + good[8:],
            "header that is no JSON": good[:8] + b"[" + good[9:],
        }.items():
            with self.subTest(name):
                base = self.base_copy()
                (base / "model.safetensors").write_bytes(bad)
                self.train_refused(base_model=str(base), words=[base / "model.safetensors"])

    def test_tensors_that_do_not_fit(self):
        good = tiny.random_tensors(1)
        name = "model.layers.1.mlp.up_proj.weight"
        self.train_refused(base_model=str(self.base_with(without(good, name))), words=[name])
        self.train_refused(base_model=str(self.base_with(good | {"stray.weight": ([1], bytes(4))})), words=["stray.weight"])
        shape, content = good[name]
        self.train_refused(base_model=str(self.base_with(good | {name: (shape[::-1], content)})), words=[name])
        self.train_refused(base_model=str(self.base_with(good, dtype="F33")), words=["F33"])

    def test_damaged_gguf(self):
        good = (tiny.FIXTURE.parent / "llama.gguf").read_bytes()
        for name, bad in {
            "empty": b"",
            "magic": b"GGUX" + good[4:],
            "version": good[:4] + struct.pack("<I", 99) + good[8:],
            "cut in the metadata": good[:200],
            "cut in the tensors": good[:-64],
            "2^63 tensors": good[:8] + struct.pack("<Q", 2**63) + good[16:],
        }.items():
            with self.subTest(name):
                path = self.folder / f"{self.fresh('bad')}.gguf"
                path.write_bytes(bad)
                self.train_refused(base_model=str(path), words=[path])

    def test_data(self):
        line = json.dumps({"prompt": "a", "completion": "b"}) + "\n"
        for name, content, words in (
            ("none", None, []),
            ("empty", "", []),
            ("no JSON", line + "{oops\n", [":2"]),
            ("no record", line + "[1]\n", [":2"]),
            ("null", line + json.dumps({"prompt": "a", "completion": None}) + "\n", [":2", "completion"]),
            ("mixed", line + json.dumps({"text": "a"}) + "\n", [":2"]),
            ("unlabelled", json.dumps({"messages": [{"role": "user", "content": "a"}]}) + "\n", []),
        ):
            with self.subTest(name):
                path = self.folder / f"{self.fresh('data')}.jsonl"
                if content is not None:
                    path.write_text(content)
                self.train_refused(datasets=[{"path": str(path)}], words=[path, *words])


class BadRuns(Refusals):
    """What is asked of a run that is there."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = lmoe("train", cls.recipe("run", max_steps=4, save_steps=2))
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        cls.run_folder = cls.folder / "run"

    def run_copy(self):
        return shutil.copytree(self.run_folder, self.folder / self.fresh("copy"))

    def state_of(self, folder):
        return {name: (folder / name).read_bytes() for name in files_of(folder)}

    def test_no_run_there(self):
        nowhere = self.folder / "nowhere"
        for verb in ("eval", "generate", "chat", "score", "resume", "report", "inspect"):
            with self.subTest(verb):
                more = {"generate": ["--prompt", "a"], "score": ["--text", self.base / "config.json"]}.get(verb, [])
                self.refused(verb, nowhere, *more, words=[nowhere])
        self.assertFalse(nowhere.exists())

    def test_wrong_paths(self):
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        recipe, run = self.folder / "run.yaml", self.run_folder
        fresh = f"output_dir={self.folder / 'never'}"
        text = self.base / "config.json"
        for path in (self.folder / "none", self.folder / ("n" * 300), loop, text / "inside"):
            uses = [["train", path], ["resume", path], ["eval", path], ["report", path], ["inspect", path], ["chat", path],
                    ["generate", path, "-p", "a"], ["score", path, "--text", text], ["score", run, "--text", path],
                    ["generate", "--base", path, "-p", "a"], ["generate", run, "--prompt-file", path],
                    ["eval", run, "--data", path], ["eval", run, "--against", path],
                    ["train", recipe, fresh, f"resume_from_checkpoint={path}"]]
            uses += [["train", recipe, fresh, f"{key}={path}"]
                     for key in ("base_model", "datasets.0.path", "eval_datasets.0.path", "chat_template")]
            if path.name != "none":
                uses.append(["train", recipe, f"output_dir={path}"])
            for use in uses:
                with self.subTest(path=path.name[:10], use=[*map(str, use)][:2] + [str(use[-1])[:30]]):
                    self.refused(*use, words=[path])
        self.assertFalse((self.folder / "never").exists())

    def test_an_output_folder_that_is_taken(self):
        before = self.state_of(self.run_folder)
        self.refused("train", self.folder / "run.yaml", words=[self.run_folder, "overwrite_output_dir"])
        self.assertEqual(self.state_of(self.run_folder), before)
        mine = self.folder / "mine"
        mine.mkdir()
        (mine / "diary.txt").write_text("dear diary")
        self.refused("train", self.folder / "run.yaml", f"output_dir={mine}", "overwrite_output_dir=true",
                     words=[mine, "diary.txt"])
        self.assertEqual(files_of(mine), ["diary.txt"])
        (mine / "diary.txt").unlink()
        (mine / "checkpoints").mkdir()
        for name in ("model.old.pt", "model.partial-1.pt"):
            (mine / "checkpoints" / name).write_text("mine")
        before = self.state_of(mine)
        for more in ([], ["overwrite_output_dir=true"], ["auto_resume_from_checkpoints=true"]):
            self.refused("train", self.folder / "run.yaml", f"output_dir={mine}", *more, words=[mine])
            self.assertEqual(self.state_of(mine), before)

    def test_the_old_run_stays_until_the_new_one_can_begin(self):
        before = self.state_of(self.run_folder)
        for setting, word, code in (("datasets.0.path=typo", "typo", 2), ("base_model=nowhere", "nowhere", 2),
                                    ("mixture.target_modules=[q_porj]", "q_porj", 2), ("eval_steps=1", "eval_steps", 2),
                                    ("micro_batch_size=1000000", "free", 1)):
            with self.subTest(setting):
                self.refused("train", self.folder / "run.yaml", "overwrite_output_dir=true", setting, words=[word], code=code)
                self.assertEqual(self.state_of(self.run_folder), before)

    def test_damaged_runs(self):
        for name in ("experts/expert0/adapter_model.safetensors", "router.safetensors", "mixture.yaml"):
            with self.subTest(name):
                run = self.run_copy()
                content = (run / name).read_bytes()
                (run / name).write_bytes(content[:20])
                self.refused("generate", run, "--prompt", "a", words=[name])
                (run / name).unlink()
                self.refused("generate", run, "--prompt", "a", words=[name])

    def test_reports_of_damaged_files(self):
        for name, contents in {
            "eval.json": ("{", "[]", "{}", '{"results": [{}]}', '{"results": [{"model": "m", "tasks": [{}]}]}', '{"results": 3}'),
            "config_effective.json": ("3", '{"base_model": 3}', '{"mixture": {}}', '{"mixture": []}'),
            "log.jsonl": ("[]\n",),
        }.items():
            for content in contents:
                with self.subTest(f"{name}: {content}"):
                    run = self.run_copy()
                    (run / "report.html").unlink()
                    (run / name).write_text(content)
                    self.refused("report", run, words=[name])
                    self.assertFalse((run / "report.html").exists())

    def test_inspection_of_damaged_runs(self):
        for with_manifest in (True, False):
            with self.subTest(with_manifest=with_manifest):
                run = self.run_copy()
                if not with_manifest:
                    (run / "manifest.json").unlink()
                (run / "base.json").write_text("{")
                self.refused("inspect", run, words=["base.json"])
                shutil.copyfile(self.run_folder / "base.json", run / "base.json")
                shutil.rmtree(run / "experts")
                self.refused("inspect", run, words=["experts"])

    def test_another_base(self):
        other = tiny.write_base(self.folder / "other", seed=2)
        self.refused("generate", self.run_folder, "--base", other, "--prompt", "a", words=["base"])
        run = self.run_copy()
        before = self.state_of(run)
        config = json.loads((run / "config_effective.json").read_text()) | {"base_model": str(other)}
        path = self.folder / "other.yaml"
        path.write_text(json.dumps(config))
        self.refused("train", path, f"output_dir={run}", "auto_resume_from_checkpoints=true", "max_steps=8", words=["base"])
        after = self.state_of(run)
        self.assertEqual([name for name in before.keys() | after.keys() if before.get(name) != after.get(name)], [])

    def test_eval_of_a_task_that_is_not_there(self):
        self.refused("eval", self.run_folder, "--tasks", "wrods", words=["wrods", "words"])
        self.refused("eval", self.run_folder, "--data", self.folder / "none.jsonl", words=["none.jsonl"])
        self.refused("eval", self.run_folder, "metric=exactmatch", words=["metric", "exact_match"])

    def test_eval_against_nothing_is_refused_before_any_work(self):
        unfinished = self.run_copy()
        (unfinished / "manifest.json").unlink()
        shutil.rmtree(unfinished / "checkpoints")
        nameless = self.run_copy()
        (nameless / "base.json").write_text("{}")
        for other in (self.folder / "typo", unfinished, nameless):
            with self.subTest(other):
                done = lmoe("eval", self.run_folder, "--against", other)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(str(other), done.stderr)
                self.assertNotIn("reading", done.stderr)


class FullDisk(Refusals):
    """Not the user's mistake, so exit code 1."""

    def test_a_checkpoint_that_does_not_fit_leaves_nothing(self):
        def files_of_at_most_64_kilobytes():
            resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))

        recipe = self.recipe("full", max_steps=4, save_steps=2, mixture={"method": "lora", "experts": {"rank": 16}})
        # Python ignores SIGXFSZ; left ignored, a write beyond the limit fails as on a full disk.
        self.refused("train", recipe, code=1, words=[self.folder / "full"], restore_signals=False,
                     preexec_fn=files_of_at_most_64_kilobytes)
        left = files_of(self.folder / "full")
        self.assertFalse([name for name in left if "step-" in name or "experts" in name or "manifest" in name], left)

    def test_output_that_does_not_fit(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([PROGRAM, "methods"], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("disk full", done.stderr)


if __name__ == "__main__":
    unittest.main()
