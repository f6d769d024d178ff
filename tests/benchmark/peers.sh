#!/usr/bin/env bash
# induct beside the tools that people use: makes an environment for these under build/peers, from PyPI, and runs peers.py in it.
#
#   tests/benchmark/peers.sh [arguments of peers.py]
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=build/peers
if [ ! -e "$venv/ready" ]; then
  python3 -m venv --clear "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${INDUCT_TORCH:-torch==2.13.0}" transformers==5.24.0 transformer_lens==4.3.0 safetensors numpy
  touch "$venv/ready"
fi
HF_HUB_OFFLINE=1 exec "$venv/bin/python" tests/benchmark/peers.py build/release/bin "$@"
