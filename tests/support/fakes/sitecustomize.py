"""With this folder on PYTHONPATH, workers in their own processes know the fake trainer and generator."""

import os
import sys
from pathlib import Path

if not any((Path(entry) / "crosslift").is_dir() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep)):
    sys.path.insert(0, str(Path(__file__).parents[3] / "src"))  # of this checkout, whichever one is installed

import crosslift.evaluation.generators
import crosslift.training.trainers

here = Path(__file__).parent
crosslift.training.trainers.__path__.append(str(here / "trainers"))
crosslift.evaluation.generators.__path__.append(str(here / "generators"))
