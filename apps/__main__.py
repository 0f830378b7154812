"""List the apps: the modules beside this one, with the first line of their docstrings."""

import importlib
import pkgutil

import apps
from kerascnn.cli.app import create_app, run

app = create_app("apps", __doc__)


@app.default
def main():
    for module in pkgutil.iter_modules(apps.__path__, "apps."):
        if not module.name.endswith("__main__"):
            print(f"python -m {module.name}\t{importlib.import_module(module.name).__doc__.splitlines()[0]}")


run(app)
