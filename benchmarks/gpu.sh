#!/bin/sh
# What only a GPU can show, in at most eight minutes: the tests that need one, then the table of benchmarks/gpu.py.
#
#   PYTHON=.venv/bin/python sh benchmarks/gpu.sh [folder for gpu-tests.txt, gpu.json and gpu.txt]
set -u
cd "$(dirname "$0")/.."
out=${1:-.}
export PYTHONPATH=src
"${PYTHON:-python3}" -m pytest -q -rs -m cuda --tb=short tests/training/test_on_gpu.py 2>&1 | tee "$out/gpu-tests.txt"
"${PYTHON:-python3}" benchmarks/gpu.py --minutes 6 --out "$out/gpu.json" 2>&1 | tee "$out/gpu.txt"
