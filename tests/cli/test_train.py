"""``geodeforest train``: what it passes on, what it prints, how it ends."""

from __future__ import annotations

import json
import shlex
from dataclasses import fields, replace

import pytest
from click.testing import CliRunner

from geodeforest.cli import main
from geodeforest.cli.train import command
from geodeforest.errors import (
    OptionError,
    RecordError,
    StrategyError,
    TrainingError,
    WorkerLost,
)
from geodeforest.testing import small_spec
from geodeforest.workflows import train_model
from geodeforest.workflows.train_model import TrainReport
from geodeforest.workflows.train_options import TrainOptions


def run(*args):
    return CliRunner().invoke(main, ["train", *map(str, args)])


@pytest.fixture
def asked(monkeypatch):
    """What the command asked of the workflow, which takes two steps and trains nothing."""
    calls = []

    def train(records, output, settings, *, on_step, **how):
        calls.append((records, output, settings, how))
        for done in (1, 2):
            on_step(done, 2, 0.5)
        return TrainReport(output, replace(small_spec(), metrics={"accuracy": 0.93214}), 2)

    monkeypatch.setattr(train_model, "train", train)
    return calls


def test_without_options_the_librarys_defaults_are_asked_for(asked, tmp_path):
    result = run("a", "b", "-o", tmp_path)
    assert result.exit_code == 0, result.output
    records, output, settings, how = asked[0]
    assert (records, output) == (("a", "b"), tmp_path)
    assert settings == TrainOptions()
    assert how == {"resume": False, "overwrite": False}


@pytest.mark.parametrize(
    ("given", "name", "value"),
    [
        (("--strategy", "gpu"), "strategy", "gpu"),
        (("--tpu", "node-1"), "tpu", "node-1"),
        (("--halo", "32"), "halo", 32),
        (("--threshold", "0.4"), "threshold", 0.4),
        (("--checkpoints", "gs://bucket/run"), "checkpoints", "gs://bucket/run"),
        (("--architecture", "seed-dense"), "architecture", "seed-dense"),
        (("--filters", "4,8"), "filters", (4, 8)),
        (("--loss", "hybrid"), "loss", "hybrid"),
        (("--steps", "7"), "steps", 7),
        (("--batch", "3"), "batch", 3),
        (("--crop", "64"), "crop", 64),
        (("--learning-rate", "0.5"), "learning_rate", 0.5),
        (("--val-group", "b", "--val-group", "a"), "val_group", ("b", "a")),
        (("--validate-every", "9"), "validate_every", 9),
        (("--patience", "4"), "patience", 4),
        (("--folds", "3"), "folds", 3),
        (("--seed", "11"), "seed", 11),
        (("--name", "mine"), "name", "mine"),
    ],
)
def test_each_option_reaches_the_training(asked, tmp_path, given, name, value):
    assert run("records", "-o", tmp_path, *given).exit_code == 0
    assert asked[0][2] == TrainOptions(**{name: value})


@pytest.mark.parametrize("flag", ["resume", "overwrite"])
def test_resume_and_overwrite_are_passed_on(asked, tmp_path, flag):
    assert run("records", "-o", tmp_path, f"--{flag}").exit_code == 0
    assert asked[0][3] == {"resume": False, "overwrite": False, flag: True}


def test_the_summary_is_one_line_on_stdout(asked, tmp_path):
    result = run("records", "-o", tmp_path)
    assert result.stdout == f"2 steps, validation accuracy 0.9321 -> {tmp_path}\n"
    assert result.stderr == ""


def test_a_worker_that_wrote_nothing_says_so(monkeypatch, tmp_path):
    report = TrainReport(tmp_path, small_spec(), 2, written=False)
    monkeypatch.setattr(train_model, "train", lambda *_, **__: report)
    stdout = run("records", "-o", tmp_path).stdout
    assert stdout.endswith("-> the first worker's directory\n")


def test_json_is_the_report_alone(asked, tmp_path):
    told = json.loads(run("records", "-o", tmp_path, "--json", "--quiet").stdout)
    assert told == {
        "directory": str(tmp_path), "model": "small", "steps": 2, "metrics": {"accuracy": 0.93214},
    }  # fmt: skip


def test_quiet_prints_nothing(asked, tmp_path):
    assert run("records", "-o", tmp_path, "--quiet", "--progress").output == ""


def test_progress_is_a_bar_on_stderr(asked, tmp_path):
    result = run("records", "-o", tmp_path, "--progress")
    assert "training: 100%" in result.stderr
    assert "2/2" in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OptionError("crop 33 px is odd; take 32"), 2),
        (StrategyError("gpu: TensorFlow finds no GPU; pass --strategy cpu"), 2),
        (RecordError("r", "is empty", "build it again"), 7),
        (TrainingError("m: the loss is nan at step 3; lower the learning rate"), 7),
        (WorkerLost(0, 2, "Connection reset by peer"), 8),
    ],
)
def test_an_error_is_one_line_and_its_exit_code(monkeypatch, tmp_path, error, code):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(train_model, "train", fail)
    result = run("records", "-o", tmp_path)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr == f"geodeforest: error: {error}\n"


@pytest.mark.parametrize(
    ("args", "what"),
    [
        (("-o", "m"), "Missing argument 'RECORDS...'"),
        (("records",), "Missing option '-o'"),
        (("records", "-o", "m", "--filters", "8,"), "'8,' is not like 16,32,64,128,256"),
        (("records", "-o", "m", "--filters", "0"), "must be positive"),
        (("records", "-o", "m", "--steps", "0"), "0 is not in the range"),
        (("records", "-o", "m", "--learning-rate", "0"), "0.0 is not in the range"),
        (("records", "-o", "m", "--loss", "focal"), "'focal' is not one of"),
        (("records", "-o", "m", "--strategy", "npu"), "'npu' is not one of"),
    ],
)
def test_a_wrong_command_line_is_one_line_with_2(asked, args, what):
    result = run(*args)
    assert (result.exit_code, result.stdout, asked) == (2, "", [])
    assert what in result.stderr
    assert result.stderr.count("\n") == 1


def test_records_that_are_not_there_end_with_7(tmp_path):
    result = run(tmp_path / "nowhere", "-o", tmp_path / "m")
    assert result.exit_code == 7
    assert result.stderr == (
        f"geodeforest: error: {tmp_path / 'nowhere'}: there is no such file; check the path\n"
    )
    assert not (tmp_path / "m").exists()


def test_the_help_names_every_option_and_the_extra_to_install():
    text = run("--help").stdout
    for name in {f.name for f in fields(TrainOptions)} - {"augmentation"}:
        assert f"--{name.replace('_', '-')} " in text
    assert 'pip install "geodeforest[train]"' in text


def test_an_interrupted_training_says_how_to_go_on(monkeypatch, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("geodeforest.workflows.train_model.train", interrupted)
    done = CliRunner().invoke(main, ["train", str(tmp_path), "-o", str(tmp_path / "m")])
    assert done.exit_code == 130
    assert done.stderr == "geodeforest: interrupted; run it again with --resume\n"


def test_the_command_that_a_spec_keeps_can_be_typed():
    chosen = TrainOptions(val_group=("dry hills", "b"), halo=32, filters=(4, 8))
    words = shlex.split(chosen.command)
    assert words[:4] == ["geodeforest", "train", "RECORDS", "-o"]
    context = command.make_context("train", words[2:])
    assert context.params["val_group"] == ("dry hills", "b")
    assert (context.params["halo"], context.params["filters"]) == (32, (4, 8))
