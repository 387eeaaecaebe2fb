"""The pinned versions and the table of faults are true."""

import ast
import re
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def required(name, extras=("",)):
    """Names and versions of the installed packages that `name` needs, at any depth."""
    found, waiting = set(), [(name, tuple(extras))]
    seen = set()
    while waiting:
        package, wanted = waiting.pop()
        for text in metadata.requires(package) or ():
            need = Requirement(text)
            if need.marker and not any(need.marker.evaluate({"extra": e}) for e in ("", *wanted)):
                continue
            next_one = (canonicalize_name(need.name), tuple(sorted(need.extras)))
            if next_one not in seen:
                seen.add(next_one)
                waiting.append(next_one)
                found.add((next_one[0], metadata.version(need.name)))
    return found


def test_every_package_that_is_installed_is_pinned_at_its_version():
    pins = re.findall(r"^([\w-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    needed = required("mnist-edge", ["dev"]) - {("mnist-edge", metadata.version("mnist-edge"))}
    assert len(needed) > 30
    assert sorted(needed - set(pins)) == []


def test_constraints_hold_names_and_versions_alone():
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[\w-]+==[\w.]+( ; [\w.'<>= ]+)?", line), line


def is_long_by_name(file):
    """Names of a test file's tests, and whether each is long."""
    tree = ast.parse(file.read_text())
    marks = [ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign)]
    all_long = any("pytestmark" in mark and "mark.long" in mark for mark in marks)
    return {
        node.name: all_long
        or any(ast.unparse(d) == "pytest.mark.long" for d in node.decorator_list)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def test_every_test_that_the_table_of_faults_names_exists():
    table = (ROOT / "docs/faults.md").read_text()
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`(, \*long\*)?", table)
    assert len(named) > 100
    wrong = [
        f"{file}::{name}"
        for file, name, is_long in named
        if is_long_by_name(ROOT / file).get(name) != bool(is_long)
    ]
    assert wrong == []
