"""``geodeforest scan`` in this process."""

from click.testing import CliRunner

from geodeforest.cli import main


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["scan", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def error_line(result):
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("geodeforest: error: ")
    return lines[0]
