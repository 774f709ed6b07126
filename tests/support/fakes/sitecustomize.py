"""With this folder on PYTHONPATH, workers in their own processes know the fake trainer and generator."""

from pathlib import Path

import crosslift.evaluation.generators
import crosslift.training.trainers

here = Path(__file__).parent
crosslift.training.trainers.__path__.append(str(here / "trainers"))
crosslift.evaluation.generators.__path__.append(str(here / "generators"))
