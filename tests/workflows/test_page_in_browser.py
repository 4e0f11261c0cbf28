"""The page of an evaluation in a browser: names made to harm stay names.

Every text in the page is a stranger's here: markup that runs, fetches or opens a dialog as
soon as a browser takes it for markup.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from geodeforest.testing import ThresholdPredictor, make_scene, small_spec
from geodeforest.workflows.evaluate_model import evaluate
from geodeforest.workflows.evaluation_page import page

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no Chromium is on this machine")

CAUGHT = "document.documentElement.dataset.caught=1"


def attacks(address):
    """Texts that run a script, or fetch from an address, wherever markup is let through."""
    return [
        f"<script>{CAUGHT}</script>",
        f"<img src=x onerror={CAUGHT}>",
        f"<img src={address}/image>",
        f"\"'><svg onload={CAUGHT}>",
        f"</title><script>{CAUGHT}</script>",
        f"</style><script>{CAUGHT}</script><link rel=stylesheet href={address}/style>",
        f"<iframe src={address}/frame></iframe><script src={address}/script></script>",
        f"--><script>alert(1);{CAUGHT}</script>",
        f"javascript:{CAUGHT}",
        "\u202e\x1b[2J\x00</td>",
    ]


@pytest.fixture
def server():
    """A server that notes what is asked of it."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    """What an evaluation found."""
    folder = tmp_path_factory.mktemp("world")
    values = np.zeros((3, 64, 64), np.uint8)
    values[0, :20] = 200
    scene = make_scene(folder / "scene.tif", values)
    truth = make_scene(folder / "truth.tif", (values[:1] > 0).astype(np.uint8))
    model = ThresholdPredictor(spec=small_spec(chip=32, halo=4))
    return evaluate([(scene, truth)], model=model).to_dict()


def renamed(found, names):
    """The same with every text and every name of a group, class or setting a hostile one."""
    names = iter(names * 100)
    (group,) = found["groups"].values()
    hostile = {next(names): group for _ in range(10)}
    settings = {
        key: next(names) if isinstance(value, str) else value
        for key, value in found["settings"].items()
    }
    return {**found, "model": next(names), "groups": hostile, "settings": settings}


def shown(text, path):
    """The page's elements after a browser has run it for two seconds of its own time."""
    path.write_text(text, "utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000")
    place = (f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", path.as_uri())
    done = subprocess.run(
        [BROWSER, *options, *place],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HOME": str(path.parent)},
    )
    assert "<html" in done.stdout, done.stderr
    return done.stdout


@needs_browser
def test_nothing_runs_and_nothing_is_fetched(facts, server, tmp_path):
    address, asked = server
    found = shown(page(renamed(facts, attacks(address))), tmp_path / "page.html")
    assert "data-caught" not in found
    assert "&lt;script&gt;" in found  # it is there, as text
    assert asked == []


@needs_browser
def test_the_browser_would_have_been_caught(server, tmp_path):
    address, asked = server
    found = shown(
        f"<body><script>{CAUGHT}</script><img src={address}/image>", tmp_path / "page.html"
    )
    assert "data-caught" in found
    assert "/image" in asked


@needs_browser
def test_markup_that_got_in_would_do_nothing(facts, server, tmp_path):
    address, asked = server
    text = page(facts).replace("<body>", f"<body>{''.join(attacks(address))}")
    assert "data-caught" not in shown(text, tmp_path / "page.html")
    assert asked == []
