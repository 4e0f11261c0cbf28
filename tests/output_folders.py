"""Folders that hold outputs, and blocks that fail while these are written."""


def failing(error):
    def fail():
        raise error

    return fail


def names(directory):
    return sorted(entry.name for entry in directory.iterdir())


def fill(place, name="a.tif", then=lambda: None):
    with place as directory:
        (directory / name).write_text("new")
        then()
