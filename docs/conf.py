"""Settings of the documentation: MyST pages and names read from the package, built offline."""

from __future__ import annotations

from geodeforest import __version__

project = "geodeforest"
author = "The geodeforest developers"
copyright = author
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False

html_theme = "pydata_sphinx_theme"
html_title = "geodeforest"
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False}
