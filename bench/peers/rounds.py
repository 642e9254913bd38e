"""Runs the cases in turn, round after round, so that a disturbance of the machine hits no single one."""

import datetime
import sys


class Measured:
    def __init__(self, cases):
        self.runs = {case.name: [] for case in cases}  # one {phase: run} per round
        self.errors = {}
        self.complete = False


class Remaining:
    """Seconds still to go: those that a case took before, its guess until then."""

    def __init__(self, cases, rounds):
        self.left = {case.name: rounds for case in cases}
        self.cost = {case.name: case.guess for case in cases}

    def took(self, name, seconds):
        self.cost[name] = seconds
        self.left[name] -= 1

    def drop(self, name):
        self.left[name] = 0

    def text(self):
        seconds = sum(self.left[name] * self.cost[name] for name in self.left)
        return str(datetime.timedelta(seconds=round(seconds)))


def runs_of(case, outcome):
    """{phase: run} with what the process tells about itself; ValueError says what is wrong."""
    if outcome.error:
        sign, meaning = case.refused or ("", "")
        raise ValueError(meaning if sign and sign in outcome.error else outcome.error)
    try:
        phases = case.runs(outcome.stdout)
    except (KeyError, IndexError, OSError, ZeroDivisionError) as error:
        raise ValueError(f"its output was not understood: {error!r}") from error
    own = {"peak_memory_bytes": outcome.peak_memory_bytes, "others_cores": outcome.others_cores}
    return {phase: run | own for phase, run in phases.items()}


def measure(cases, rounds, start, progress=sys.stderr):
    """`start(case)` gives a child.Outcome. A case that failed is not tried again. Ctrl-C keeps what there is."""
    measured, remaining = Measured(cases), Remaining(cases, rounds)
    try:
        for number in range(1, rounds + 1):
            for case in cases:
                if case.name in measured.errors:
                    continue
                print(f"compare_peers: round {number} of {rounds}: {case.name} (about {remaining.text()} left)", file=progress, flush=True)
                outcome = start(case)
                remaining.took(case.name, outcome.seconds)
                try:
                    measured.runs[case.name].append(runs_of(case, outcome))
                except ValueError as error:
                    measured.errors[case.name] = str(error)
                    remaining.drop(case.name)
                    print(f"compare_peers: {case.name}: {error}", file=progress, flush=True)
        measured.complete = True
    except KeyboardInterrupt:
        print("compare_peers: interrupted; keeping what was measured", file=progress, flush=True)
    return measured
