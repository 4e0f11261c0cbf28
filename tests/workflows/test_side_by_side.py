"""Small scenes side by side: the same results in the same order, and the same errors."""

import threading
import time
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodeforest.core.options import ScanOptions
from geodeforest.core.threads import Stopped
from geodeforest.errors import ModelError
from geodeforest.geo.files import GO_ON, OutputSet
from geodeforest.testing import ThresholdPredictor, make_scene
from geodeforest.workflows.scan_scene import check_scenes
from geodeforest.workflows.scan_targets import Targets
from geodeforest.workflows.side_by_side import Job, Room, count_beside, finishing, lanes_for

SIDE = 60
BAD = 77
"""A scene whose first pixel holds this number cannot be scanned."""


@dataclass(frozen=True)
class Watched(ThresholdPredictor):
    """Counts scenes at work at a time, takes longer over earlier ones, and fails at ``BAD``."""

    pause: float = 0.0
    meeting: threading.Barrier | None = None
    at_work: list = field(default_factory=list)
    most: list = field(default_factory=list)

    def predict(self, chips, scene_level=None):
        self.at_work.append(1)
        self.most.append(len(self.at_work))
        try:
            if self.meeting is not None:
                self.meeting.wait(20)
            if round(255 * float(chips[0, 0, 0, 0])) == BAD:
                raise ModelError("model.onnx", "the network does not run", "try another")
            time.sleep(self.pause)
            return super().predict(chips)
        finally:
            self.at_work.pop()


def scenes(folder, count, bad=None):
    found = []
    for number in range(count):
        values = np.full((3, SIDE, SIDE), 20, np.uint8)
        values[:, 10 : 20 + number, 10:40] = 200
        values[:, 0, 0] = BAD if number == bad else 20
        found.append(str(make_scene(folder / f"s{number}.tif", values)))
    return found


def jobs_of(paths, out, options, model):
    out.mkdir(exist_ok=True)
    targets = [
        Targets((out / f"{number}.geojson",), out / f"{number}_c.tif", out / f"{number}_x.tif")
        for number in range(len(paths))
    ]
    looks = check_scenes(dict(zip(paths, targets, strict=True)), options, model)
    return [Job.of(*each) for each in zip(paths, targets, looks, strict=True)]


def scanned(paths, out, model, **chosen):
    options = ScanOptions(min_area=0, **chosen)
    jobs = jobs_of(paths, out, options, model)
    with closing(finishing(jobs, options, model)) as finishes:
        return [finish(lambda *_: None) for finish in finishes]


def contents(folder):
    """The outputs; what a later scan goes on from is in hidden folders."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def journals(folder):
    return {path.parent.name.split(".")[1] for path in folder.glob(".*.gdf-*/journal")}


def test_results_are_those_of_one_after_the_other(tmp_path):
    paths = scenes(tmp_path, 7)
    one = scanned(paths, tmp_path / "one", ThresholdPredictor(), threads=1)
    several = scanned(paths, tmp_path / "several", ThresholdPredictor(), threads=3)
    assert [report.scene for report in several] == [f"s{n}.tif" for n in range(7)]
    assert [r.deforested_ha for r in several] == [r.deforested_ha for r in one]
    assert contents(tmp_path / "several") == contents(tmp_path / "one")


def test_small_scenes_are_at_work_at_the_same_time(tmp_path):
    model = Watched(meeting=threading.Barrier(2))
    scanned(scenes(tmp_path, 2), tmp_path / "out", model, threads=2)
    assert max(model.most) == 2


@pytest.mark.parametrize("chosen", [{"threads": 1}, {"threads": 2, "chip": 32, "overlap": 16}])
def test_one_thread_or_many_chips_mean_one_scene_at_a_time(tmp_path, chosen):
    model, seen = Watched(pause=0.002), []
    options = ScanOptions(min_area=0, **chosen)
    jobs = jobs_of(scenes(tmp_path, 3), tmp_path / "out", options, model)
    with closing(finishing(jobs, options, model)) as finishes:
        for finish in finishes:
            seen.append(len(list((tmp_path / "out").glob("*.geojson"))))
            finish(lambda *_: None)
    assert seen == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_one_that_fails_leaves_those_before_and_no_output_of_those_behind(tmp_path, threads):
    paths, out = scenes(tmp_path, 6, bad=2), tmp_path / "out"
    with pytest.raises(ModelError, match="does not run"):
        scanned(paths, out, Watched(pause=0.01), threads=threads)
    stems = {name for n in range(2) for name in (f"{n}.geojson", f"{n}_c.tif", f"{n}_x.tif")}
    assert set(contents(out)) == stems


def test_scenes_that_are_given_up_end_soon_and_leave_no_output(tmp_path):
    options, model = ScanOptions(threads=2), Watched(pause=0.2)
    jobs = jobs_of(scenes(tmp_path, 40), tmp_path / "out", options, model)
    with closing(finishing(jobs, options, model)) as finishes:
        next(finishes)(lambda *_: None)
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert len(model.most) < 10
    # The next in order may have come to its end, too, and is whole then.
    first, second = ({f"{n}.geojson", f"{n}_c.tif", f"{n}_x.tif"} for n in range(2))
    assert set(contents(tmp_path / "out")) in (first, first | second)


class Lasting(ThresholdPredictor):
    """Runs until it is stopped; each scene is another thread's, so none stops them all at once."""

    def __init__(self):
        super().__init__()
        for name, value in {"began": threading.Semaphore(0), "ends": {}, "late": []}.items():
            object.__setattr__(self, name, value)

    def predict(self, chips, scene_level=None):
        end = self.ends[threading.get_ident()] = threading.Event()
        self.began.release()
        if not end.wait(20):
            self.late.append(threading.get_ident())
        del self.ends[threading.get_ident()]
        raise Stopped

    def stop(self, threads):
        for thread in threads:
            if (end := self.ends.get(thread)) is not None:
                end.set()


def test_scenes_that_are_given_up_do_not_wait_for_the_network(tmp_path):
    options, model = ScanOptions(threads=2), Lasting()
    jobs = jobs_of(scenes(tmp_path, 5), tmp_path / "out", options, model)
    with closing(finishing(jobs, options, model)) as finishes:
        next(finishes)
        for _ in range(2):
            assert model.began.acquire(timeout=20)
    assert model.late == []
    assert not model.began.acquire(blocking=False)  # no third one
    assert contents(tmp_path / "out") == {}


def test_a_scene_that_comes_to_its_network_late_is_stopped_too(tmp_path):
    """One that was not yet there when the others were stopped does not run to its end."""
    options, model, gate = ScanOptions(threads=2), Lasting(), threading.Event()
    jobs = jobs_of(scenes(tmp_path, 2), tmp_path / "out", options, model)
    stop, predict = model.stop, model.predict

    def at_once(threads):
        stop(threads)
        gate.set()

    def late(*given):
        model.began.release()
        assert gate.wait(20)
        return predict(*given)

    object.__setattr__(model, "stop", at_once)
    object.__setattr__(model, "predict", late)
    with closing(finishing(jobs, options, model)) as finishes:
        next(finishes)
        assert model.began.acquire(timeout=20)
    assert gate.is_set()
    assert model.late == []


def test_a_scene_beside_others_is_one_threads_work(tmp_path):
    before, counts = threading.active_count(), []

    class Counting(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            counts.append(threading.active_count() - before)
            return super().predict(chips)

    scanned(scenes(tmp_path, 12), tmp_path / "out", Counting(), threads=2)
    assert len(counts) == 12
    assert max(counts) == 4  # two at work, and two that wait for the disk


def test_no_more_scenes_are_at_work_than_threads(tmp_path):
    """More would wait for Python's lock."""
    model = Watched(pause=0.02)
    scanned(scenes(tmp_path, 8), tmp_path / "out", model, threads=2)
    assert max(model.most) == 2


def test_others_are_at_work_while_files_are_flushed(tmp_path, monkeypatch):
    came, third, late, flush = [], threading.Event(), [], OutputSet.flush

    class Coming(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            came.append(1)
            if len(came) == 3:
                third.set()
            return super().predict(chips)

    def slow(outputs):
        if not third.wait(20):
            late.append(outputs)
        flush(outputs)

    monkeypatch.setattr(OutputSet, "flush", slow)
    scanned(scenes(tmp_path, 4), tmp_path / "out", Coming(), threads=2)
    assert late == []


def test_progress_is_told_of_the_scene_that_is_waited_for(tmp_path):
    told, options, model = [], ScanOptions(threads=2), ThresholdPredictor()
    jobs = jobs_of(scenes(tmp_path, 3), tmp_path / "out", options, model)
    with closing(finishing(jobs, options, model)) as finishes:
        for finish in finishes:
            finish(lambda done, total: told.append((done, total)))
    assert all(0 <= done <= total == jobs[0].chips for done, total in told)
    assert told[-1] == (jobs[0].chips, jobs[0].chips)


@given(
    st.lists(st.integers(300, 900), min_size=1, max_size=9),
    st.integers(900, 3000),
    st.integers(1, 8),
)
def test_scenes_side_by_side_keep_the_budget(memories, budget, threads):
    program = 140
    jobs = [Job("s.tif", Targets(), 1, memory, program) for memory in memories]
    lanes = lanes_for(jobs, budget, threads)
    assert 1 <= lanes <= min(2 * threads, len(jobs))
    assert program + lanes * (max(memories) - program) <= budget
    assert threads > 1 or lanes == 1


def test_a_scene_is_whole_but_for_its_names_before_its_turn(tmp_path, monkeypatch):
    """So what is long is done side by side, and only renames wait for the scenes before."""
    paths, out, model = scenes(tmp_path, 2), tmp_path / "out", ThresholdPredictor()
    first_may_end, flushed = threading.Event(), []
    flush = OutputSet.flush

    def flush_and_tell(outputs):
        flush(outputs)
        if out / "1.geojson" in outputs:
            flushed.append(outputs.scratch(out / "1_x.tif").stat().st_size)
            first_may_end.set()
        else:
            first_may_end.wait(20)

    monkeypatch.setattr(OutputSet, "flush", flush_and_tell)
    scanned(paths, out, model, threads=2)
    assert flushed[0] == (out / "1_x.tif").stat().st_size


class Halting(ThresholdPredictor):
    """Keeps scenes at the last of their nine chips until it is stopped."""

    def __init__(self):
        super().__init__()
        for name, value in {"calls": {}, "halted": threading.Semaphore(0)}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "ended", threading.Event())

    def __repr__(self):
        return "ThresholdPredictor"

    def predict(self, chips, scene_level=None):
        thread = threading.get_ident()
        self.calls[thread] = self.calls.get(thread, 0) + 1
        if self.calls[thread] == 9:
            self.halted.release()
            self.ended.wait(20)
            raise Stopped
        return super().predict(chips)

    def stop(self, threads):
        self.ended.set()


def test_an_interrupt_leaves_what_scenes_side_by_side_go_on_from(tmp_path):
    """As of one scene, and it is said."""
    out, model = tmp_path / "out", Halting()
    options = ScanOptions(min_area=0, threads=2, chip=32, overlap=16)
    jobs = [replace(job, chips=1) for job in jobs_of(scenes(tmp_path, 2), out, options, model)]

    def interrupt(*_):
        for _ in range(2):
            assert model.halted.acquire(timeout=20)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught, closing(finishing(jobs, options, model)) as f:
        next(f)(interrupt)
    assert caught.value.__notes__ == [GO_ON]
    assert contents(out) == {}
    assert journals(out) == {"0", "1"}


def test_where_one_fails_another_at_work_leaves_nothing_hidden_either(tmp_path):
    out, begun = tmp_path / "out", threading.Event()
    flush = OutputSet.flush

    class Failing(ThresholdPredictor):
        def predict(self, chips, scene_level=None):
            if round(255 * float(chips[0, 0, 0, 0])) == BAD:
                assert begun.wait(20)
                raise ModelError("model.onnx", "the network does not run", "try another")
            return super().predict(chips)

    def flush_and_tell(outputs):
        flush(outputs)
        begun.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OutputSet, "flush", flush_and_tell)
        with pytest.raises(ModelError):
            scanned(scenes(tmp_path, 2, bad=0), out, Failing(), threads=2)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("scenes", "chips", "threads", "lanes", "beside"),
    [
        (2, 25, 16, 2, 0),  # two threads at work for 25 chips' time, or all for 4
        (8, 25, 16, 8, 0),
        (18, 25, 16, 18, 16),  # the last two would keep two threads at work
        (32, 25, 16, 32, 32),
        (32, 25, 16, 2, 0),  # too little memory for more
        (200, 1, 2, 4, 200),
        (60, 4, 2, 4, 60),
        (61, 4, 2, 4, 60),
        (3, 1, 16, 3, 3),
        (5, 1, 2, 1, 0),
    ],
)
def test_scenes_go_side_by_side_where_that_keeps_threads_at_work(
    scenes, chips, threads, lanes, beside
):
    jobs = [Job("s.tif", Targets(), chips, 300, 140)] * scenes
    assert count_beside(jobs, Room(lanes, threads)) == beside


@given(
    st.lists(st.integers(1, 32), min_size=1, max_size=12), st.integers(2, 24), st.integers(2, 16)
)
def test_no_other_count_of_scenes_side_by_side_takes_less(chips, lanes, threads):
    jobs = [Job("s.tif", Targets(), count, 300, 140) for count in chips]

    def takes(beside):
        ends = [0] * min(lanes, threads)
        for count in chips[:beside]:
            ends[ends.index(min(ends))] += count
        return max(ends) + sum(-(-count // threads) for count in chips[beside:])

    counted = count_beside(jobs, Room(lanes, threads))
    assert takes(counted) == min(map(takes, range(len(jobs) + 1)))


def test_a_few_scenes_of_more_chips_than_one_have_all_threads(tmp_path):
    model = Watched(pause=0.05)
    scanned(scenes(tmp_path, 2), tmp_path / "out", model, threads=8, chip=32, overlap=16)
    assert max(model.most) > 2
