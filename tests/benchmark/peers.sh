#!/usr/bin/env bash
# induct beside the tools that people use: makes an environment for these under build/peers, from PyPI, and runs peers.py in it.
#
#   tests/benchmark/peers.sh [--causal] [arguments of peers.py]
#
#   --causal   the ablations of causal_peers.py in place of profiles
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/peers
if [ ! -e "$venv/ready" ]; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${INDUCT_TORCH:-torch==2.13.0}" transformers==5.24.0 transformer_lens==4.3.0 safetensors numpy
  touch "$venv/ready"
fi
script=peers.py
if [ "${1:-}" = --causal ]; then script=causal_peers.py; shift; fi
HF_HUB_OFFLINE=1 exec "$venv/bin/python" "tests/benchmark/$script" build/release/bin "$@"
