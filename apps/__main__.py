"""List the apps: the files beside this one, with the first line of their docstrings."""

import ast
from pathlib import Path

from cyclopts import App

from kerascnn import __version__, cli

app = App(name="python -m apps", help=__doc__, version=__version__, result_action="return_value")


@app.default
def main():
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        title = ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]
        print(f"python -m apps.{path.stem}\t{title}")


cli.run(app)
