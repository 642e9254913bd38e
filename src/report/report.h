// One self-contained HTML page about a run: no outside requests, plots drawn in the page.
//
//   Json data = {{"title", "runs/l-moe"}, {"facts", …}, {"log", log_from_jsonl(read_file(…))}, …};
//   write_file_atomically(run / "report.html", render_report(data));
//
// `data` is an object; every member is optional, and what is missing is left out of the page.
//
//   title      text
//   subtitle   text: one sentence under the title
//   facts      [{label, value, note?}]: tiles under the title, texts in the order given
//   log        [{step, …}]: what log_from_jsonl returns
//   router     {expert_names? [text], sites? [text], usage? [{task, weights}]}
//              sites: names of the gates in the order of gate_entropy and load
//              ("layers.3.self_attn.q_proj", "layers.3"); the first number is taken as the layer.
//              weights: [site][expert], mean routing weight over the task's tokens
//   prompts    {usage: [{task, records, share, nearest}]}: a bank of prompts
//              share, nearest: [entry], of the task's records those with the entry in front, and
//              those it is the nearest of
//   scores     [{task, variant, metric, score, ci_low?, ci_high?, n?, source?, training_data?}]
//              variant: "base", "lora", "l-moe", …; shares are between 0 and 1
//              source: the file; training_data: whether the run was trained on it
//   ablation   [{task, expert, change}]: score without the expert minus score with it
//   samples    [{task, prompt, expected?, variant?, tokens: [{text, expert?, weight?, weights?}]}]
//              expert: number of the chosen one; weight: its routing weight; weights: of all
//   comparison {chosen_by, methods: [{method, experts, rank, trained_parameters, difference,
//              learning_rate, curve: [{lr, value, seeds: [{seed, value, error?}]}],
//              seconds_per_step?, tokens_per_second?, peak_memory_bytes?, router?}]}: several
//              methods beside each other; value, learning_rate: number or null
//   recipe     the effective recipe: text (YAML), or JSON that is shown as it is
//
// Texts are untrusted (models wrote some of them): none of them can become markup or script.
#pragma once

#include <string>

#include "base/json.h"

namespace lmoe::report {

/// Throws kInvalidArgument naming the member whose type is wrong.
std::string render_report(const Json& data);

}  // namespace lmoe::report
