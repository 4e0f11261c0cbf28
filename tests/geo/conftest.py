"""Faults of the file system that tests of outputs share."""

import errno
import os

import pytest

from geodeforest.geo import files


@pytest.fixture
def fail_at(monkeypatch):
    """Makes the n-th rename fail."""

    def arm(number, error=None):
        error = error or OSError(errno.EIO, "Input/output error")
        real, calls = os.replace, []

        def replace(source, target):
            calls.append(source)
            if len(calls) == number:
                raise error
            real(source, target)

        monkeypatch.setattr(files.os, "replace", replace)

    return arm
