"""List the apps: the files beside this one, with the first line of their docstrings."""

import ast
from pathlib import Path

from kerascnn.cli import app as cli

app = cli.create_app("apps", __doc__)


@app.default
def main():
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        title = ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]
        print(f"python -m apps.{path.stem}\t{title}")


cli.run(app)
