"""What a set of training records is, and whether it is what it says.

Knows when the index alone answers and when every record must be read.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from geodeforest.errors import RecordError
from geodeforest.workflows.extras import need_training

if TYPE_CHECKING:
    from geodeforest.nn.index import RecordIndex


def describe_records(paths: Sequence[str | os.PathLike[str]]) -> RecordIndex:
    """The index of a directory as it stands on disk, else one made by reading every record.

    Raises:
        RecordError: the index or, without one, a record is refused.
        MissingExtra: records must be read, and TensorFlow is not installed.
    """
    from geodeforest.nn.index import INDEX_LIMIT, INDEX_NAME, RecordIndex

    if len(paths) == 1 and os.path.isfile(index := Path(paths[0]) / INDEX_NAME):
        try:
            with index.open(encoding="utf-8", errors="replace") as file:
                text = file.read(INDEX_LIMIT + 1)
        except OSError as error:
            why = f"cannot be read ({error.strerror})"
            raise RecordError(index, why, "check its permissions") from error
        return RecordIndex.from_json(text, index)
    need_training("reading training records")
    from geodeforest.nn.records import index_of

    return index_of(paths)


def check_records(paths: Sequence[str | os.PathLike[str]]) -> RecordIndex:
    """Check hashes, framing, every record and every count, and return the index.

    Raises:
        RecordError: names the file, the record's number and the key.
        MissingExtra: TensorFlow is not installed.
    """
    need_training("reading training records")
    from geodeforest.nn.records import check_records as check

    return check(paths).index
