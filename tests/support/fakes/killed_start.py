"""One start of a study that is killed when it has put so many files into their place.

    python killed_start.py STUDY NUM_FILES before|after

Every file appears by a rename, so these are all the moments between which nothing can be seen from outside.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from generators.fake import Tokenizer

import crosslift.execution.phases.prepare
import crosslift.execution.phases.prepared_data
from crosslift.execution.folder.result_tables import rebuild_result_tables
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.folder.store import Store
from crosslift.execution.workers.worker import work
from crosslift.studies.parsing.load import load


def main(folder: Path, num_files: int, when: str) -> None:
    left = num_files
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        nonlocal left
        left -= 1
        if left == 0 and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = replace(self, target)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    Path.replace = replace_or_die
    crosslift.execution.phases.prepared_data.load_tokenizer = lambda *_, **__: Tokenizer()
    graph = StepGraph(load(folder), Store(folder))
    crosslift.execution.phases.prepare.prepare(graph, say=lambda line: None)
    assert work(graph.study)
    rebuild_result_tables(graph, graph.states())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
