"""Figures and targets as Markdown."""


def gib(size):
    return f"{size / 2**30:.2f} GiB"


def speed_text(figure):
    speed = figure.get("tokens_per_second")
    return f"{speed['median']:.0f} ({speed['min']:.0f}–{speed['max']:.0f}, n={speed['n']})" if speed else "–"


def conditions(result):
    machine, versions = result["machine"], ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    note = "" if result["complete"] else " **Interrupted: not all rounds were run.**"
    return (f"{machine['processor']} ({' '.join(machine['features'])}), {machine['threads']} threads, {result['dtype']}; "
            f"{result['rounds']} rounds of {result['steps']} steps after a warm-up, medians (min–max, n); {versions}.{note}")


def cases_table(figures):
    lines = ["| case | trained parameters | tokens/s | s/step | peak memory | share of the bound |", "|---|---:|---:|---:|---:|---:|"]
    for name, figure in figures.items():
        if "error" in figure:
            lines.append(f"| {name} | {figure['error']} | | | | |")
            continue
        parameters = f"{figure['trained_parameters']:,.0f}" if "trained_parameters" in figure else "–"
        step = f"{figure['seconds_per_step']['median']:.2f}" if "seconds_per_step" in figure else "–"
        share = f"{figure['bound_share']:.0%}" if "bound_share" in figure else "–"
        disturbed = " (disturbed)" if figure["others_cores"] > 0.05 else ""
        lines.append(f"| {name}{disturbed} | {parameters} | {speed_text(figure)} | {step} | "
                     f"{gib(figure['peak_memory_bytes'])} | {share} |")
    return "\n".join(lines)


def targets_table(targets):
    lines = ["| target | value | goal | met |", "|---|---:|---:|---|"]
    for target in targets:
        value = f"{target['value']:.2f}" if target["value"] is not None else f"– ({target['reason']})"
        sign = "≥" if target["goal_is"] == "at least" else "≤"
        met = f"see {target['decided_by']}" if "decided_by" in target else ("yes" if target["met"] else "no")
        lines.append(f"| {target['name']} | {value} | {sign} {target['goal']:g} | {met} |")
    return "\n".join(lines)


def markdown(result):
    return "\n\n".join([conditions(result), targets_table(result["targets"]), cases_table(result["figures"])]) + "\n"
