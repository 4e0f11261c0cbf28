"""Rows that wait on disk."""

import errno

import numpy as np
import pytest

from geodeforest.errors import OutputUnwritable
from geodeforest.geo.spool import RowSpool


@pytest.mark.parametrize("with_scores", [True, False])
def test_rows_come_back_in_the_parts_in_which_they_went(tmp_path, with_scores):
    rng = np.random.default_rng(1)
    parts = [rng.integers(0, 256, (height, 7), np.uint8) for height in (3, 1, 5)]
    with RowSpool(tmp_path / "out.gpkg") as spool:
        for part in parts:
            spool.write(part, part[::-1] if with_scores else None)
        for part, (classes, scores) in zip(parts, spool.rows(), strict=True):
            assert np.array_equal(classes, part)
            assert np.array_equal(scores, part[::-1]) if with_scores else scores is None


def test_rows_may_be_read_twice_and_need_not_lie_side_by_side(tmp_path):
    classes = np.arange(60, dtype=np.uint8).reshape(6, 10)[::2, ::3]
    with RowSpool(tmp_path / "out.gpkg") as spool:
        spool.write(classes, None)
        for _ in range(2):
            assert np.array_equal(next(spool.rows())[0], classes)


def test_it_leaves_nothing_beside_the_output(tmp_path):
    with RowSpool(tmp_path / "out.gpkg") as spool:
        spool.write(np.zeros((2, 2), np.uint8), None)
        assert not list(tmp_path.iterdir())


def test_without_rows_none_come_back(tmp_path):
    with RowSpool(tmp_path / "out.gpkg") as spool:
        assert not list(spool.rows())


def test_a_full_disk_is_an_error_of_the_output(tmp_path):
    class Full:
        def writelines(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            pass

    with RowSpool(tmp_path / "out.gpkg") as spool:
        spool._file.close()
        spool._file = Full()
        with pytest.raises(OutputUnwritable, match=r"out\.gpkg.*space"):
            spool.write(np.zeros((2, 2), np.uint8), None)
