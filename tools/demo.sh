#!/usr/bin/env bash
# The demo: an L-MoE and a LoRA of as many trained parameters learn three tasks at once; then base, LoRA and L-MoE are scored
# on the same test records. `make demo` sets up and builds before it calls this.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
readonly lmoe=build/lmoe started=$SECONDS

say() { printf '\ndemo: %s\n' "$*"; }

# A finished run is kept and an interrupted one goes on, as long as the recipe is the one it began with.
train() {
  local name="$1"
  local recipe="recipes/demo/$name.yaml" run="runs/demo/$name" begun_with="runs/demo/$name.yaml"
  if cmp -s "$recipe" "$begun_with" && [[ -d "$run" ]]; then
    say "$run goes on where it is"
    "$lmoe" resume "$run"
  else
    say "training $name"
    mkdir -p runs/demo
    cp "$recipe" "$begun_with"
    "$lmoe" train "$recipe" overwrite_output_dir=true
  fi
}

# The table of scores is kept too, until one of the runs is newer.
score() {
  local table=runs/demo/scores.txt
  if [[ "$table" -nt runs/demo/lora/manifest.json && "$table" -nt runs/demo/l-moe/manifest.json ]]; then
    say "the scores from before (remove $table to score anew)"
    cat "$table"
    return
  fi
  say "scoring base, LoRA and L-MoE on the same test records"
  "$lmoe" eval runs/demo/l-moe --against runs/demo/lora --against base ablation_records=0 | tee "$table.partial"
  mv "$table.partial" "$table"
}

train lora
train l-moe
score

say "took $((SECONDS - started)) seconds"
printf 'demo: the report, with curves, routing and answers: %s/runs/demo/l-moe/report.html\n' "$PWD"
printf 'demo: talk to it: %s chat runs/demo/l-moe\n' "$lmoe"
