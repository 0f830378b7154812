"""The classic convolutional networks as real software: an app a task, a command of its own for each step of it."""

import importlib
import pkgutil

from kerascnn.cli.app import create_app, run

app = create_app(__doc__)
for module in pkgutil.iter_modules(importlib.import_module(__package__).__path__):
    if module.name != "__main__":
        app.command(importlib.import_module(f"{__package__}.{module.name}").app, name=module.name)


def main():
    """The command `kerascnn`."""
    run(app)


if __name__ == "__main__":
    main()
