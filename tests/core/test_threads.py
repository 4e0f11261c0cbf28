"""Calls in threads that are known, and calls in place."""

import threading

import pytest

from geodeforest.core.threads import InPlace, Threads, stop_runs
from geodeforest.testing import ThresholdPredictor


class Fault(Exception):
    pass


def fail():
    raise Fault


def test_a_call_in_place_is_made_at_once_by_who_gives_it():
    made = []
    with InPlace(3) as crew:
        future = crew.submit(lambda word: made.append((word, threading.get_ident())), word="a")
        assert made == [("a", threading.get_ident())]
        assert future.done()
        assert list(crew.map(str, range(3))) == ["0", "1", "2"]


@pytest.mark.parametrize("crew", [InPlace, Threads])
def test_an_error_comes_from_the_calls_future(crew):
    with crew(1) as workers:
        future = workers.submit(fail)
        with pytest.raises(Fault):
            future.result()
        assert workers.submit(len, "ab").result() == 2


def test_threads_are_known_while_they_live():
    workers = Threads(2)
    found = {workers.submit(threading.get_ident).result() for _ in range(5)}
    assert found <= workers.living()
    workers.shutdown()
    assert workers.living() == set()


class Stopped(ThresholdPredictor):
    told = None

    def stop(self, threads):
        object.__setattr__(self, "told", threads)


def test_runs_are_stopped_in_the_threads_alone_that_are_given():
    model, others = Stopped(), Threads(1)
    with Threads(1) as workers, others:
        others.submit(len, "").result()
        thread = workers.submit(threading.get_ident).result()
        stop_runs(model, workers)
    assert model.told == {thread}


def test_nothing_is_stopped_in_place_nor_where_a_model_cannot_be():
    model = Stopped()
    stop_runs(model, InPlace())
    assert model.told is None
    with Threads(1) as workers:
        stop_runs(ThresholdPredictor(), workers)
