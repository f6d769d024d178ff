#!/usr/bin/env bash
# Draws the figures of the documentation, one of each kind, from the demo models.
# Usage: docs/figures/draw.sh BIN_FOLDER [OUTPUT_FOLDER]; without the second into docs/figures.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
[ $# -ge 1 ] || { sed -n 's/^# //p' "$0" >&2; exit 2; }
client=$(cd "$1" && pwd)/induct-client
output=${2:-$here}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Sizes by parameters take three models: the third is demo-large without its last two layers.
cp -r "$here/../../deploy/demo_models" "$scratch/models"
cp -r "$scratch/models/demo-large" "$scratch/models/demo-large-6"
sed -i 's/"num_hidden_layers": 8/"num_hidden_layers": 6/' "$scratch/models/demo-large-6/config.json"

# run COMMAND ...: a private server, no settings but these.
run() {
  env -i PATH="$PATH" HOME="$scratch" INDUCT_MODEL_DIRS="$scratch/models" "$client" "$@" --seed 123 --quiet \
    --no_report --output_dir "$scratch/outputs" --figs_dir "$scratch/figs" >/dev/null
}

run nulls --model demo-large
run multisize --models demo-small demo-large-6 demo-large --labels demo-small "demo-large, first 6 layers" demo-large
run causal --model demo-large --task_types RANDOM --lag_values 20,30,50
run lagbuckets --model demo-large --edges 8,16
run pattern --model demo-large --head 3.0 --prompt 50

mkdir -p "$output"
for name in heatmap_demo-large profile_demo-large nulls_demo-large nulls_heatmap_demo-large cross_size_overlay \
  peak_depth_parameters causal_delta lag_overlay_demo-large pattern_demo-large_3.0_prompt50; do
  cp "$scratch/figs/$name.png" "$output/"
done
