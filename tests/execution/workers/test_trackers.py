"""Trackers show what a worker reports, in their own formats, and never fail a run."""

from __future__ import annotations

import inspect
import logging
import os
import shutil
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from fake_study import open_graph

from crosslift import discover
from crosslift.errors import StudyError
from crosslift.execution.folder.progress import Progress
from crosslift.execution.folder.step_graph import StepGraph
from crosslift.execution.phases.prepare import prepare
from crosslift.execution.workers import tracking
from crosslift.execution.workers.tracking import Tracking, unavailable
from crosslift.execution.workers.worker import work
from crosslift.extras import EXTRA_OF
from crosslift.studies.parsing.load import load
from crosslift.studies.site import Site, load_site

CURVE = {"step": [2, 4], "all": [2.0, 1.5], "en": [2.5, 1.25], "sw": [None, 3.0]}
FACTS = {"model": "tiny", "mixture": "en", "seed": 0}


def track(tracking: Tracking, folder, *, run: str = "tiny.en.s0") -> None:
    begun = tracking.begin("study", run, FACTS, folder)
    begun.progress(Progress(phase="training", step=2, curve={name: column[:1] for name, column in CURVE.items()}))
    begun.progress(Progress(phase="training", step=3, curve={name: column[:1] for name, column in CURVE.items()}))
    begun.progress(Progress(phase="training", step=4, curve=CURVE, tokens_per_second=100.0))
    tracking.end(run)


class Remembering:
    """A tracker as a module, that keeps what it is told."""

    PACKAGE, OPTIONS = "json", {}

    def __init__(self, fails: str = "") -> None:
        self.fails, self.told = fails, []

    def start(self, run):
        self._call("start", run.run)
        return self

    def log(self, values, *, step):
        self._call("log", step, dict(values))

    def finish(self):
        self._call("finish")

    def _call(self, what, *about):
        self.told.append((what, *about))
        if what == self.fails:
            raise OSError("the disk is full")


class Listing(Remembering):
    """The same, with the run of each call."""

    def start(self, run):
        self.told.append(("start", run.run))
        return RunOfListing(self, run.run)


class RunOfListing:
    def __init__(self, tracker, run):
        self.tracker, self.run = tracker, run

    def log(self, values, *, step):
        self.tracker.told.append(("log", self.run, *values))

    def finish(self):
        self.tracker.told.append(("finish", self.run))


@pytest.fixture
def fake(monkeypatch):
    def install(**trackers):
        monkeypatch.setattr(tracking, "member", lambda kind, name: trackers[name])
        return Tracking({name: {} for name in trackers})

    return install


def test_each_logged_loss_is_passed_on_once(fake, tmp_path):
    tracker = Remembering()
    track(fake(one=tracker), tmp_path)
    assert tracker.told == [
        ("start", "tiny.en.s0"),
        ("log", 2, {"loss/all": 2.0, "loss/en": 2.5}),
        ("log", 4, {"loss/all": 1.5, "loss/en": 1.25, "loss/sw": 3.0, "speed": 100.0}),
        ("finish",),
    ]
    assert (tmp_path / "one").is_dir()


@pytest.mark.parametrize("fails", ["start", "log", "finish"])
def test_a_tracker_that_fails_is_switched_off_and_named_once_and_the_others_go_on(fake, tmp_path, caplog, fails):
    bad, good = Remembering(fails), Remembering()
    both = fake(bad=bad, good=good)
    with caplog.at_level(logging.WARNING):
        for run in ("a", "b"):
            track(both, tmp_path, run=run)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["the tracker 'bad' is switched off, the runs go on: OSError('the disk is full')"]
    assert [call[0] for call in good.told] == ["start", "log", "log", "finish"] * 2
    assert [call[0] for call in bad.told].count("start") == 1


@pytest.mark.parametrize("options", [{"generators": {"fake_engine": {"runs_per_engine": 3}}}, {"adapters_at_once": 4}])
def test_a_run_is_begun_once_when_it_is_trained_or_evaluated_with_others(fake, prepared, tmp_path, options):
    tracker = Listing()
    fake(one=tracker)
    study = Path(shutil.copytree(prepared, tmp_path / "study"))
    if "generators" in options:
        file = study / "study.toml"
        file.write_text(file.read_text().replace('generator = "fake"', 'generator = "fake_engine"'))
        prepare(open_graph(study), say=lambda line: None)
    assert work(load(study), site=Site(trackers={"one": {}}, **options))
    runs = list(open_graph(study).runs)
    for what in ("start", "finish"):
        assert sorted(run for said, run, *_ in tracker.told if said == what) == sorted(runs)
    for run in runs:
        calls = [call for call in tracker.told if call[1] == run]
        assert calls[0][0] == "start" and calls[-1][0] == "finish"
        assert sum("/accuracy" in name for _, _, *names in calls for name in names) == 3


def test_a_missing_package_is_said_before_the_runs_begin(fake):
    absent = ModuleType("absent")
    absent.PACKAGE = "wandb_that_is_absent"
    fake(wandb=absent)
    (line,) = unavailable({"wandb": {}})
    assert line.startswith("The tracker 'wandb' is switched off, the runs go on: ")


def test_trackers_are_chosen_in_the_site_file(tmp_path):
    file = tmp_path / "site.toml"
    file.write_text('[trackers.tensorboard]\n[trackers.wandb]\nproject = "languages"\n')
    assert load_site(file).trackers == {"tensorboard": {}, "wandb": {"project": "languages"}}
    file.write_text('[trackers.tensorbord]\n[trackers.wandb]\nprojekt = "languages"\n')
    with pytest.raises(StudyError) as caught:
        load_site(file)
    assert "trackers.tensorbord" in str(caught.value) and "tensorboard" in str(caught.value)
    assert "projekt" in str(caught.value)


def test_every_tracker_is_a_member_whose_package_belongs_to_the_extra():
    for name in discover.members("tracker"):
        module = discover.member("tracker", name)
        assert EXTRA_OF[module.PACKAGE] == "trackers"
        assert callable(module.start)
        assert isinstance(module.OPTIONS, dict)


def test_tensorboard_reads_back_the_losses(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra trackers is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track(Tracking({"tensorboard": {}}), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard" / "tiny.en.s0"), size_guidance={"tensors": 0})
    events.Reload()
    from tensorboard.util import tensor_util

    read = {
        name: [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events.Tensors(name)]
        for name in events.Tags()["tensors"]
    }
    assert read == {
        "loss/all": [(2, 2.0), (4, 1.5)],
        "loss/en": [(2, 2.5), (4, 1.25)],
        "loss/sw": [(4, 3.0)],
        "speed": [(4, 100.0)],
    }


def test_wandb_writes_an_offline_run_that_its_own_messages_read(tmp_path):
    pytest.importorskip("wandb", reason="the extra trackers is not installed")
    from wandb.proto.wandb_internal_pb2 import Record

    track(Tracking({"wandb": {}}), tmp_path)
    (file,) = (tmp_path / "wandb").rglob("*.wandb")
    records = [Record.FromString(text) for text in _records(file.read_bytes())]
    (begun,) = [one.run for one in records if one.WhichOneof("record_type") == "run"][:1]
    assert (begun.project, begun.display_name) == ("study", "tiny.en.s0")
    items = [item for one in records for item in one.history.item]
    losses = [item.value_json for item in items if "loss/en" in (item.key, *item.nested_key)]
    assert [float(loss) for loss in losses] == [2.5, 1.25]


def _records(text: bytes):
    """The records of an offline run: a header, then frames of checksum, length and type, as LevelDB writes its log."""
    text, whole = text[7:], b""
    while len(text) > 7:
        length, kind = struct.unpack("<HB", text[4:7])
        whole += text[7 : 7 + length]
        text = text[7 + length :]
        if kind in (1, 4):  # complete, or the last part
            yield whole
            whole = b""


@pytest.mark.skipif(find_spec("trackio") is None, reason="the extra trackers is not installed")
def test_trackio_reads_back_the_losses_from_the_folder_of_the_study(tmp_path):
    """In a process of its own, because trackio reads the place of its database when it is imported."""
    code = (
        "import sys; from pathlib import Path; from crosslift.execution.workers.tracking import Tracking;"
        "from crosslift.execution.folder.progress import Progress;"
        "tracking = Tracking({'trackio': {}});"
        "begun = tracking.begin('study', 'tiny.en.s0', {'seed': 0}, Path(sys.argv[1]));"
        "begun.progress(Progress(curve={'step': [2, 4], 'en': [2.5, 1.25]})); tracking.close();"
        "from trackio.sqlite_storage import SQLiteStorage;"
        "print('read', [(row['step'], row['loss/en']) for row in SQLiteStorage.get_logs('study', 'tiny.en.s0')])"
    )
    environment = os.environ | {"TRACKIO_SPACE_ID": "somebody/elsewhere"}
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment)
    assert "read [(2, 2.5), (4, 1.25)]" in ended.stdout, ended.stdout + ended.stderr
    assert list((tmp_path / "trackio").iterdir())


def test_trackers_are_no_part_of_what_identifies_a_run(tmp_path):
    """The same steps with and without trackers: the site never reaches the step graph."""
    assert "site" not in inspect.signature(StepGraph.__init__).parameters
