"""Shows what an installation brings: packages, megabytes, and the time and memory of the first price.

    python -m benchmarks.install [--runs 5]

Builds the wheel, installs it into an empty environment, and asks there for the price of a model in
new processes, of which the best counts. pip, setuptools and the app itself are not counted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = ("native_api", "pyproject.toml", "setup.py", "README.md", "LICENSE")
UNCOUNTED: Final = frozenset({"pip", "setuptools", "wheel", "django-native-api"})

MAX_PACKAGES: Final = 25
MAX_MILLISECONDS: Final = 200.0
MAX_MEGABYTES: Final = 5.0

FIRST_PRICE: Final = """
import json, time
from django.conf import settings
settings.configure()
import native_api.background, native_api.pricing.costs, native_api.types.model_names

def resident_bytes():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096

start, before = time.perf_counter(), resident_bytes()
from native_api.pricing import lookup
from native_api.types import Provider, Target
target = Target(Provider("p", "openai", "https://api.example/v1", vendor="openai"), "gpt-4o")
assert lookup.price_of(target)["INPUT"]
print(json.dumps([time.perf_counter() - start, resident_bytes() - before]))
"""


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--runs", type=int, default=5, help="processes that look up a price")
    runs = arguments.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        python = install(build_wheel(Path(folder)), Path(folder) / "environment")
        packages = installed_packages(python)
        measured = [json.loads(run(python, "-c", FIRST_PRICE)) for _ in range(runs)]
    milliseconds = min(seconds for seconds, _ in measured) * 1000
    megabytes = min(growth for _, growth in measured) / 1e6
    for name, size in sorted(packages.items(), key=lambda each: -each[1]):
        print(f"  {name:24}{size / 1e6:>8.1f} MB")
    print(f"{'packages':26}{len(packages):>8} (limit {MAX_PACKAGES})")
    print(f"{'size on disk':26}{sum(packages.values()) / 1e6:>8.1f} MB")
    print(f"{'first price':26}{milliseconds:>8.1f} ms (limit {MAX_MILLISECONDS:g})")
    print(f"{'memory of the prices':26}{megabytes:>8.1f} MB (limit {MAX_MEGABYTES:g})")
    if len(packages) > MAX_PACKAGES or milliseconds > MAX_MILLISECONDS or megabytes > MAX_MEGABYTES:
        sys.exit("over the limit")


def build_wheel(folder: Path) -> Path:
    """Built from a copy, because setuptools leaves its files beside the sources."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "-w", str(folder), str(source))
    return next(folder.glob("*.whl"))


def install(wheel: Path, environment: Path) -> str:
    """The path of the environment's Python."""
    run(sys.executable, "-m", "venv", str(environment))
    python = str(environment / "bin" / "python")
    run(python, "-m", "pip", "install", "--no-compile", str(wheel))
    return python


def installed_packages(python: str) -> dict[str, int]:
    """Name -> bytes of its files, without compiled Python."""
    paths = json.loads(run(python, "-c", "import json, sys; print(json.dumps(sys.path))"))
    return {
        name: installed_bytes(each)
        for each in distributions(path=[path for path in paths if "site-packages" in path])
        if (name := each.metadata["Name"]) not in UNCOUNTED
    }


def installed_bytes(package: Distribution) -> int:
    files: list[Any] = [each.locate() for each in package.files or () if each.suffix != ".pyc"]
    return sum(Path(each).stat().st_size for each in files)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
