"""bench/compare_peers without running a peer: the arithmetic on made-up figures, the JSON, refusals, Ctrl-C."""

import argparse
import io
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import types
import unittest

BENCH = pathlib.Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.insert(0, str(BENCH))

from peers import cases, child, command, figures, rounds, step_work, table, targets, training_log  # noqa: E402

SMOLLM2 = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
           "num_key_value_heads": 3, "vocab_size": 49152}


def figure(speed=100.0, peak=1000, **more):
    return {"tokens_per_second": figures.spread([speed]), "seconds_per_step": figures.spread([1.0]), "peak_memory_bytes": peak,
            "others_cores": 0.0} | more


def by_name(found, start):
    return next(target for target in found if target["name"].startswith(start))


class Figures(unittest.TestCase):
    def test_rates_of_windows_add_up_tokens_and_seconds(self):
        self.assertEqual(figures.rates([10, 30], [1, 2]), [10, 15])
        self.assertEqual(figures.rates([10, 30, 20, 40, 2], [1, 1, 1, 1, 1], window=2), [20, 62 / 3])
        self.assertEqual(figures.rates([8], [2], window=5), [4])

    def test_summary_takes_the_median_over_all_steps_and_the_largest_peak(self):
        run = {"tokens": [10, 10], "seconds": [1, 2], "peak_memory_bytes": 7, "others_cores": 0.0}
        made = figures.summary([run, run | {"seconds": [4, 5], "peak_memory_bytes": 9, "others_cores": 0.3, "bound_share": 0.5}])
        self.assertEqual(made["tokens_per_second"], {"median": 3.75, "min": 2, "max": 10, "n": 4})
        self.assertEqual((made["peak_memory_bytes"], made["others_cores"]), (9, 0.3))
        self.assertNotIn("bound_share", made)  # one round did not tell it

    def test_a_case_with_phases_has_a_figure_for_each(self):
        run = {"tokens": [1], "seconds": [1], "peak_memory_bytes": 1, "others_cores": 0.0}
        made = figures.summaries({"x": [{"first epoch": run, "later epochs": run}], "y": [{"": run}], "z": []}, {"z": "broke"})
        self.assertEqual(list(made), ["x, first epoch", "x, later epochs", "y", "z"])
        self.assertEqual(made["z"], {"error": "broke"})


class Log(unittest.TestCase):
    LINES = [{"total_tokens": 10 * i, "labelled_tokens": 4 * i, "elapsed_seconds": i * i, "epoch": i / 2} for i in range(1, 5)]

    def test_steps_are_differences_and_the_first_warms_up(self):
        run = training_log.whole_run(self.LINES, 2)[""]
        self.assertEqual(run, {"tokens": [10, 10, 10], "seconds": [3, 5, 7], "window": 2, "labelled_share": 0.4})

    def test_epochs_are_told_apart_and_a_missing_one_is_an_error(self):
        epochs = training_log.by_epoch(self.LINES, 1)
        self.assertEqual([epochs[name]["seconds"] for name in ("first epoch", "later epochs")], [[3], [5, 7]])
        with self.assertRaisesRegex(ValueError, "too few steps"):
            training_log.by_epoch(self.LINES[:2], 1)


class Work(unittest.TestCase):
    def test_flops_of_smollm2_per_token(self):
        self.assertEqual(step_work.linear_weights(SMOLLM2), 106_168_320)
        self.assertEqual(64 * step_work.lora_parameters_per_rank(SMOLLM2), 19_537_920)
        flops = step_work.flops_per_token(SMOLLM2, 19_537_920, labelled_share=1.0, pairs_per_token=step_work.pairs_per_token([512]))
        # MFLOP: frozen 424.7, attention 17.7 x 3.5, adapters 117.2, lm_head 113.2
        self.assertAlmostEqual(flops / 1e6, 424.67 + 62.05 + 117.23 + 113.25, delta=0.05)

    def test_share_of_the_bound(self):
        flops = step_work.flops_per_token(SMOLLM2, 0, 0.5, 1.0)
        share = step_work.bound_share(SMOLLM2, 0, 0.5, [1], tokens_per_second=100, gemm_gflops=flops * 200 / 1e9)
        self.assertAlmostEqual(share, 0.5)


class Targets(unittest.TestCase):
    def full(self):
        """Every figure that some target needs, all alike."""
        names = {name for target in targets.all_targets(False) for name in (target.figure, target.against) if name}
        return {name: figure(bound_share=0.9) for name in names}

    def test_each_letter_is_there_and_alike_figures_give_ratios_of_one(self):
        found = targets.results(self.full(), targets.LETTERS, False)
        self.assertEqual(sorted({target["name"][0] for target in found}), list(targets.LETTERS))
        for target in found:
            self.assertEqual(target["value"], 0.9 if target["name"][0] in "gh" else 1.0, target["name"])
        self.assertEqual(targets.met_by_letter(found),
                         dict(a=True, b=True, c=False, d=False, e=False, f=False, g=True, h=True, i=False))

    def test_a_slower_mixture_has_a_larger_ratio_of_times(self):
        made = self.full() | {f"{targets.OURS_LORA} 4x512": figure(220), f"{targets.OURS_L_MOE} 4x512": figure(200)}
        step_time = by_name(targets.results(made, "a", False), "a")
        self.assertAlmostEqual(step_time["value"], 1.1)
        self.assertFalse(step_time["met"])  # at most 1.08

    def test_speed_and_memory_against_a_peer(self):
        made = self.full() | {f"{targets.OURS_LORA} 4x512": figure(260, 400), f"{targets.PEFT_LORA} 4x512": figure(200, 1000)}
        found = targets.results(made, "c", False)
        self.assertEqual([(target["value"], target["met"]) for target in found], [(1.3, True), (0.4, True)])

    def test_epochs_of_x_lora_have_goals_of_their_own(self):
        ours = f"{targets.OURS_X_LORA} 4x512"
        made = self.full() | {f"{ours}, first epoch": figure(190), f"{ours}, later epochs": figure(230, 300)}
        self.assertEqual([(target["value"], target["goal"], target["met"]) for target in targets.results(made, "e", False)],
                         [(1.9, 1.8, True), (2.3, 2.4, False), (0.3, 0.4, True)])

    def test_a_failed_case_makes_the_value_null_and_says_why(self):
        ours = f"{targets.OURS_X_LORA} 4x512"
        made = {name: value for name, value in self.full().items() if not name.startswith(ours)} | {ours: {"error": "exit code 1"}}
        first = targets.results(made, "e", False)[0]
        self.assertEqual((first["value"], first["met"]), (None, False))
        self.assertEqual(first["reason"], f"{ours}: exit code 1")

    def test_a_share_that_nobody_told_is_not_measured(self):
        made = self.full() | {f"{targets.OURS_PACKED} 4x512": figure()}
        packed = targets.results(made, "g", False)[1]
        self.assertEqual((packed["value"], packed["reason"]), (None, f"{targets.OURS_PACKED} 4x512: not measured"))

    def test_where_the_peer_has_no_memory_left_the_small_shape_decides(self):
        made = self.full()
        for size in ("4x512", "2x256"):
            for name in (targets.OURS_MIXLORA, targets.OURS_LORAMOE):
                made[f"{name} {size}"] = figure(250, 300)
        made[f"{targets.PEER_LORAMOE} 4x512"] = {"error": "out of memory (limit 18 GiB)"}
        found = targets.results(made, "d", False)
        dead = by_name(found, "d: LoRAMoE (8, r=8) at 4x512, tokens/s")
        self.assertEqual((dead["value"], dead["met"]), (None, False))
        self.assertEqual(dead["decided_by"], "d: LoRAMoE (8, r=8) at 2x256, tokens/s / MoE-PEFT's")
        self.assertTrue(by_name(found, dead["decided_by"])["met"])
        self.assertEqual(targets.met_by_letter(found), {"d": True})
        made[f"{targets.PEER_LORAMOE} 4x512"] = {"error": "exit code 1: no such file"}
        self.assertEqual(targets.met_by_letter(targets.results(made, "d", False)), {"d": False})

    def test_quick_needs_figures_of_the_small_shape_only(self):
        names = [target.figure + target.against + target.text for target in targets.all_targets(True)]
        self.assertFalse([name for name in names if "4x512" in name])


def case(name, runs=lambda stdout: {"": {"tokens": [10], "seconds": [float(stdout)]}}, refused=()):
    return cases.Case(name, [name], runs, guess=60, refused=refused)


def outcome(stdout="", error=""):
    return child.Outcome(stdout, error, seconds=2, peak_memory_bytes=5, others_cores=0.0)


class Rounds(unittest.TestCase):
    def test_cases_take_turns_and_one_that_failed_is_not_tried_again(self):
        order, progress = [], io.StringIO()

        def start(one):
            order.append(one.name)
            return outcome("2") if one.name != "bad" else outcome(error="exit code 2: unknown key frozen_prefix_cache_mb")

        refused = ("frozen_prefix_cache_mb", "not available")
        measured = rounds.measure([case("x"), case("bad", refused=refused), case("y")], 2, start, progress)
        self.assertEqual(order, ["x", "bad", "y", "x", "y"])
        self.assertEqual(measured.errors, {"bad": "not available"})
        self.assertTrue(measured.complete)
        self.assertEqual(len(measured.runs["x"]), 2)
        self.assertIn("round 1 of 2: x (about 0:06:00 left)", progress.getvalue())
        self.assertIn("round 2 of 2: x (about 0:00:04 left)", progress.getvalue())

    def test_output_that_is_not_understood_fails_the_case_alone(self):
        measured = rounds.measure([case("x")], 1, lambda _: outcome("nonsense"), io.StringIO())
        self.assertIn("nonsense", measured.errors["x"])

    def test_an_interruption_keeps_what_was_measured(self):
        def start(one):
            if one.name == "y":
                raise KeyboardInterrupt
            return outcome("4")

        measured = rounds.measure([case("x"), case("y")], 2, start, io.StringIO())
        self.assertFalse(measured.complete)
        made = figures.summaries(measured.runs, measured.errors)
        self.assertEqual(list(made), ["x"])
        self.assertEqual(made["x"]["tokens_per_second"]["median"], 2.5)


class Result(unittest.TestCase):
    def result(self):
        options = types.SimpleNamespace(targets=list("ag"), quick=False, threads=2, dtype="float32", rounds=1, steps=1)
        run = {"tokens": [2048], "seconds": [8.0], "trained_parameters": 7, "gemm_gflops": 170.0, "bound_share": 0.9}
        names = [f"{targets.OURS_LORA} 4x512", f"{targets.OURS_L_MOE} 4x512"]
        made = [case(name, lambda _: {"": run}) for name in names]
        made.append(case(f"{targets.OURS_PACKED} 4x512", lambda _: {"": run | {"labelled_share": 0.5, "bound_share": None}}))
        measured = rounds.measure(made, 1, lambda _: outcome(), io.StringIO())
        return command.result_of(measured, options, SMOLLM2, [42], {"torch": "2"})

    def test_the_shape_of_the_json(self):
        result = json.loads(json.dumps(self.result()))
        for key in ("complete", "targets", "met", "machine", "versions", "dtype", "rounds", "steps", "figures"):
            self.assertIn(key, result)
        for target in result["targets"]:
            self.assertLessEqual({"name", "value", "goal", "goal_is", "met"}, set(target))
        self.assertLessEqual({"processor", "features", "threads"}, set(result["machine"]))
        self.assertEqual(set(result["figures"][f"{targets.OURS_LORA} 4x512"]["tokens_per_second"]), {"median", "min", "max", "n"})
        self.assertTrue(result["met"]["a"])

    def test_the_share_of_packed_records_follows_from_the_rate_in_the_same_run(self):
        packed = self.result()["figures"][f"{targets.OURS_PACKED} 4x512"]["bound_share"]
        flops = step_work.flops_per_token(SMOLLM2, 32 * step_work.lora_parameters_per_rank(SMOLLM2), 0.5, 21.5)
        self.assertAlmostEqual(packed, flops * 256 / 170e9)

    def test_the_table_names_every_target_and_case(self):
        result = self.result()
        text = table.markdown(result | {"complete": False})
        for name in [target["name"] for target in result["targets"]] + list(result["figures"]):
            self.assertIn(name, text)
        self.assertIn("Interrupted", text)

    def test_a_file_is_written_whole(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "figures.json")
            stdout, sys.stdout = sys.stdout, io.StringIO()
            try:
                command.write_result(self.result(), path)
            finally:
                sys.stdout = stdout
            self.assertEqual(os.listdir(folder), ["figures.json"])
            with open(path) as file:
                self.assertTrue(json.load(file)["complete"])


class Arguments(unittest.TestCase):
    def test_letters(self):
        self.assertEqual(command.letters_of("f,a,c,a"), ["a", "c", "f"])
        for wrong in ("z", "a,z", "ab", "", ","):
            with self.assertRaises(argparse.ArgumentTypeError):
                command.letters_of(wrong)

    def test_the_program_refuses_unknown_letters_and_says_which_there_are(self):
        done = subprocess.run([sys.executable, BENCH / "compare_peers", "--train", "--targets", "a,z"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn('given "z", expected letters of a,b,c,d,e,f,g,h,i', done.stderr)


    def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(self):
        for path in ("/no/such/folder/figures.json", tempfile.gettempdir()):
            with self.assertRaises(argparse.ArgumentTypeError):
                command.writable(path)
        self.assertEqual(command.writable("-"), "-")


def goes_on(pid):
    try:
        return ") Z " not in pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


class Child(unittest.TestCase):
    def run_python(self, code, **how):
        return child.run([sys.executable, "-c", code], dict(os.environ), **how)

    def test_output_error_and_peak(self):
        good = self.run_python("print(1); x = bytearray(50 << 20)")
        self.assertEqual((good.stdout, good.error), ("1\n", ""))
        self.assertGreater(good.peak_memory_bytes, 50 << 20)
        bad = self.run_python("import sys; sys.exit('no such thing')")
        self.assertEqual(bad.error, "exit code 1: no such thing")

    def test_more_memory_than_the_limit_is_out_of_memory(self):
        done = self.run_python("x = bytearray(3 << 30)", memory_limit=1 << 30)
        self.assertEqual(done.error, "out of memory (limit 1 GiB)")

    def test_what_takes_too_long_is_ended(self):
        self.assertEqual(self.run_python("import time; time.sleep(30)", time_limit=1).error, "over 1 s")

    def test_an_interruption_ends_what_the_case_started(self):
        with tempfile.TemporaryDirectory() as folder:
            names = os.path.join(folder, "started")
            code = (f"import os, subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
                    f"open({names!r} + '.tmp', 'w').write(f'{{os.getpid()}} {{p.pid}}'); os.rename({names!r} + '.tmp', {names!r}); time.sleep(60)")
            waiting = f"while [ ! -e {names} ]; do sleep 0.05; done; kill -INT {os.getpid()}"
            signal.signal(signal.SIGINT, signal.default_int_handler)  # started in the background, it would be ignored
            killer = subprocess.Popen(["sh", "-c", waiting])
            with self.assertRaises(KeyboardInterrupt):
                self.run_python(code)
            killer.wait()
            with open(names) as file:
                started = [int(pid) for pid in file.read().split()]
        for _ in range(100):  # whoever adopted them may take a moment to notice
            if not any(goes_on(pid) for pid in started):
                return
            time.sleep(0.1)
        self.fail(f"of {started} something goes on")


if __name__ == "__main__":
    unittest.main()
