"""With this folder on PYTHONPATH a worker knows the fake trainer and generator and meets the faults of its case."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "src"))
sys.path.insert(0, str(Path(__file__).parents[2]))

from fault_injection import faulted

faulted.install("worker")
