#!/usr/bin/env bash
# induct beside the tools that people use: makes an environment for these under build/peers, from PyPI, and runs peers.py in it.
#
#   tests/benchmark/peers.sh [--causal | --streaming] [arguments of peers.py]
#
#   --causal     the ablations of causal_peers.py in place of profiles
#   --streaming  streaming.py: memory_saver beside resident weights
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/peers
if [ ! -e "$venv/ready" ]; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${INDUCT_TORCH:-torch==2.13.0}" transformers==5.24.0 transformer_lens==4.3.0 safetensors numpy
  touch "$venv/ready"
fi
script=peers.py
case "${1:-}" in
  --causal) script=causal_peers.py; shift ;;
  --streaming) script=streaming.py; shift ;;
esac
HF_HUB_OFFLINE=1 exec "$venv/bin/python" "tests/benchmark/$script" build/release/bin "$@"
