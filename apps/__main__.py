"""`python -m apps` lists the apps: each is a file beside this one, and the first line of its docstring says what it does."""

import ast
from pathlib import Path

for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
    title = ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]
    print(f"python -m apps.{path.stem}\t{title}")
