"""From what the rounds of a case gave to its figures. Pure: no clock, no files."""

import statistics


def rates(tokens, seconds, window=1):
    """Tokens per second of each `window` consecutive steps; what is left over at the end joins the last window."""
    count = max(len(seconds) // window, 1)
    edges = [i * window for i in range(count)] + [len(seconds)]
    return [sum(tokens[a:b]) / sum(seconds[a:b]) for a, b in zip(edges, edges[1:])]


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "n": len(values)}


def summary(runs):
    """One case, or one phase of it, over all rounds. A run is {tokens, seconds, window, peak_memory_bytes, others_cores, …};
    other numbers in it (bound_share, gemm_gflops, trained_parameters) become medians."""
    figure = {}
    if all("seconds" in run for run in runs):
        speeds = [rate for run in runs for rate in rates(run["tokens"], run["seconds"], run.get("window", 1))]
        figure["tokens_per_second"] = spread(speeds)
        figure["seconds_per_step"] = spread([second for run in runs for second in run["seconds"]])
    figure["peak_memory_bytes"] = max(run["peak_memory_bytes"] for run in runs)
    figure["others_cores"] = max(run["others_cores"] for run in runs)
    for key in ("trained_parameters", "bound_share", "gemm_gflops", "labelled_share"):
        if all(run.get(key) is not None for run in runs):
            figure[key] = statistics.median(run[key] for run in runs)
    if runs[-1].get("parts"):
        figure["parts"] = runs[-1]["parts"]
    return figure


def summaries(measured, errors):
    """`measured`: case -> one {phase: run} for each round; `errors`: case -> why it gave nothing. The phase "" is the whole case."""
    figures = {}
    for case, rounds in measured.items():
        if case in errors:
            figures[case] = {"error": errors[case]}
            continue
        for phase in rounds[0] if rounds else ():
            figures[f"{case}, {phase}" if phase else case] = summary([one[phase] for one in rounds])
    return figures
