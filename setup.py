"""Finds the packages: the three stages stand at the top of the checkout and install under `drumvae`."""

from setuptools import find_packages, setup

STAGES = ("trainer", "export", "live")

setup(
    packages=[
        *find_packages(include=["drumvae", "drumvae.*"]),
        *(f"drumvae.{package}" for stage in STAGES for package in find_packages(include=[stage, f"{stage}.*"])),
    ],
    package_dir={f"drumvae.{stage}": stage for stage in STAGES},
)
