"""Calls are made in order beside the caller, few of them wait, and errors come back."""

import threading
import time

import pytest

from geodeforest.core.beside import Beside
from geodeforest.core.threads import InPlace, Threads

CREWS = pytest.mark.parametrize("crew", [Threads, InPlace])


class Fault(Exception):
    pass


def fail():
    raise Fault


@CREWS
def test_calls_are_made_in_their_order(crew):
    made = []
    with Beside(3, crew) as beside:
        for number in range(50):
            beside.do(made.append, number)
        beside.wait()
    assert made == list(range(50))


def test_the_caller_goes_on_meanwhile():
    gate = threading.Event()
    with Beside(1) as beside:
        beside.do(gate.wait, timeout=30)
        assert not gate.is_set()  # reached while the call waits
        gate.set()
        beside.wait()


def test_no_more_calls_wait_than_may():
    gate, given = threading.Event(), []

    def give():
        with Beside(2) as beside:
            for number in range(5):
                beside.do(gate.wait, 30)
                given.append(number)

    giver = threading.Thread(target=give)
    giver.start()
    time.sleep(0.3)
    assert given == [0, 1]
    gate.set()
    giver.join()
    assert given == [0, 1, 2, 3, 4]


@CREWS
def test_an_error_comes_back_and_nothing_is_made_after_it(crew):
    made = []
    with Beside(3, crew) as beside:
        beside.do(fail)
        with pytest.raises(Fault):  # noqa: PT012  by the next call or by waiting for it
            beside.do(made.append, 1)
            beside.wait()
    assert made == []


@CREWS
def test_an_error_comes_back_while_calls_are_given(crew):
    with pytest.raises(Fault), Beside(2, crew) as beside:  # noqa: PT012
        beside.do(fail)
        for _ in range(3):
            beside.do(lambda: None)


def leave(beside, gate):
    with beside:
        beside.do(gate.wait, 30)
        beside.do(fail)
        threading.Timer(0.1, gate.set).start()
        raise KeyboardInterrupt


def test_leaving_drops_what_waits_and_ends_the_thread():
    before, gate = threading.active_count(), threading.Event()
    with pytest.raises(KeyboardInterrupt):
        leave(Beside(3), gate)
    assert gate.is_set()  # the call at work was waited for
    time.sleep(0.05)
    assert threading.active_count() == before
