"""What is known before TensorFlow is loaded."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_names_and_flags_are_known_without_tensorflow():
    apps = [f"apps.{path.stem}" for path in (ROOT / "apps").glob("*.py") if not path.stem.startswith("__")]
    modules = ["kerascnn", "kerascnn.errors", "kerascnn.model_names", "kerascnn.datasets", "apps", *apps]
    heavy = {"tensorflow", "keras", "torch", "jax", "cv2", "matplotlib", "sklearn"}
    program = f"import sys, {', '.join(modules)}; print(sorted({heavy} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"
