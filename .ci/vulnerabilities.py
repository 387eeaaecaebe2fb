"""Is a vulnerability known of the pinned packages?

    python .ci/vulnerabilities.py constraints.txt [pip-audit's flags: --ignore-vuln ID ...]

asks pip-audit's services, PyPI's advisories and else OSV's, about every pin, whichever
Python it is for. Exit status: 1 where one is known; 2 where the file is no list of pins;
0 where neither service answers, and one line says so: a build without a network goes on.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name

SERVICES = {"pypi": "PyPI", "osv": "OSV"}


Pin = tuple[str, str]  # name and version


class Silent(Exception):
    """A service does not answer; the message is the cause."""


def read_pins(path: Path) -> list[Pin]:
    """Reads the pins of a requirements file, without markers."""
    lines = [line.split("#")[0].split(";")[0].strip() for line in path.read_text().splitlines()]
    lines = [line for line in lines if line]
    pins = [pin for line in lines if (pin := re.fullmatch(r"([\w.-]+)==([\w.+!]+)", line))]
    if not pins or len(pins) < len(lines):
        raise ValueError(f"{path} must hold lines NAME==VERSION and nothing else")
    return [(canonicalize_name(pin[1]), pin[2]) for pin in pins]


def ask(service: str, pins: list[Pin], flags: Sequence[str]) -> tuple[list[str], list[str]]:
    """Asks one service by pip-audit.

    Args:
        service: A key of `SERVICES`.
        pins: What to ask about.
        flags: More for pip-audit.

    Returns:
        `(found, unknown)`: lines that name a vulnerability, and names that the service
        does not know.

    Raises:
        Silent: It does not answer, or knows none of them.
    """
    found, unknown = [], []
    for one_each in _without_doubles(pins):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write("".join(f"{name}=={version}\n" for name, version in one_each))
            file.flush()
            words = ["-r", file.name, "--no-deps", "--disable-pip", "--format", "json"]
            words += ["--progress-spinner", "off", "-s", service, *flags]
            ran = subprocess.run(
                [sys.executable, "-m", "pip_audit", *words], capture_output=True, text=True
            )
        try:
            packages = json.loads(ran.stdout)["dependencies"]
        except ValueError:
            last = [line for line in ran.stderr.splitlines() if line.strip()][-1:]
            raise Silent(" ".join(last)[:200] or f"status {ran.returncode}") from None
        for package in packages:
            if "skip_reason" in package:
                unknown.append(package["name"])
            for hole in package.get("vulns", ()):
                mended = ", ".join(hole["fix_versions"]) or "no version"
                found.append(
                    f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}"
                )
    if len(unknown) == len(pins):  # a mirror that has the files and not the advisories
        raise Silent("it knows none of the packages")
    return found, unknown


def _without_doubles(pins: list[Pin]) -> Iterator[list[Pin]]:
    """Pins in lists that name no package twice, which pip-audit refuses."""
    versions: dict[str, list[str]] = {}
    for name, version in pins:
        versions.setdefault(name, []).append(version)
    for i in range(max(map(len, versions.values()))):
        yield [(name, held[i]) for name, held in versions.items() if len(held) > i]


def main(path: str, *flags: str) -> int:
    """Prints what is known; returns the exit status."""
    found: list[str] = []
    silent: list[str] = []
    try:
        pins = read_pins(Path(path))
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for service, title in SERVICES.items():
        try:
            found, unknown = ask(service, pins, flags)
        except Silent as error:
            silent.append(f"{title}: {error}")
            continue
        print(f"{len(pins) - len(unknown)} of {len(pins)} pins audited against {title}")
        if unknown:
            print(f"NOT AUDITED, {title} does not know them: {', '.join(unknown)}")
        break
    else:
        print(f"NOT AUDITED against today's advisories, no service answers. {'; '.join(silent)}")
    for line in found:
        print(f"VULNERABLE {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
