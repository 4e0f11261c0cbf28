"""The command line with a threshold for a model, as a process of its own."""

from __future__ import annotations

import geodeforest.workflows.load_model as loading
from geodeforest.cli import main
from geodeforest.testing import ThresholdPredictor

if __name__ == "__main__":
    loading.load_model = lambda *_: ThresholdPredictor()
    main()
