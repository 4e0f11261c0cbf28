"""``python -m geodeforest``: the command line without the installed script."""

from __future__ import annotations

from geodeforest.cli import main

if __name__ == "__main__":
    main()
