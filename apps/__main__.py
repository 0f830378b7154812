"""`python -m apps` lists the apps: the files beside this one, with the first line of their docstrings."""

import ast
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    title = ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]
    print(f"python -m apps.{path.stem}\t{title}")
