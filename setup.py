"""What pyproject.toml cannot say: all packages that are found, and the folder apps/ as kerascnn.apps."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["kerascnn*"]), "kerascnn.apps"], package_dir={"kerascnn.apps": "apps"})
