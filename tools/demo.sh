#!/usr/bin/env bash
# The demo: an L-MoE and a LoRA of as many trained parameters learn three tasks at once; then base, LoRA and L-MoE are scored
# on the same test records. `make demo` sets up and builds before it calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly lmoe=build/lmoe started=$SECONDS

say() { printf '\ndemo: %s\n' "$*"; }

# A finished run is kept, so a second `make demo` goes straight to the scores; remove runs/demo to start over. The first
# scores are the last thing that training writes; an interrupted run has all other files too.
train() {
  local name="$1"
  if [[ -f "runs/demo/$name/eval.json" ]]; then
    say "runs/demo/$name is there already"
  else
    say "training $name"
    "$lmoe" train "recipes/demo/$name.yaml" auto_resume_from_checkpoints=true
  fi
}

train lora
train l-moe
say "scoring base, LoRA and L-MoE on the same test records"
"$lmoe" eval runs/demo/l-moe --against runs/demo/lora --against base ablation_records=0

say "took $((SECONDS - started)) seconds"
printf 'demo: the report, with curves, routing and answers: %s/runs/demo/l-moe/report.html\n' "$PWD"
printf 'demo: talk to it: %s chat runs/demo/l-moe\n' "$lmoe"
