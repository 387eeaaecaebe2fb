"""The package of npm: what it holds, that it reads in node, and that a bundle's names stay text."""

import json
import os
import re
import shutil
import subprocess

import numpy as np
import pytest

from export import to_web
from export.web import npm
from mnist_edge import data
from tests.export.web.conftest import fetched
from tests.export.web.test_bits import in_node

READ = """import fs from "node:fs";
import {labels, read, shape} from "./index.js";
const images = fs.readFileSync(process.argv[2]), size = shape.reduce((a, b) => a * b), found = [];
for (let at = 0; at < images.length; at += size) found.push(read(images.subarray(at, at + size)));
let refused = "";
try { read([1, 2]); } catch (error) { refused = `${error.name}: ${error.message}`; }
const plain = read([...images.subarray(0, size)]);
console.log(JSON.stringify({labels, shape, found, refused, plain}));
"""
USE = """import {labels, read, shape} from "./index.js";
const probabilities: number[] = read(new Uint8Array(784));
const name: string | undefined = labels[probabilities.indexOf(Math.max(...read([0, 1.5])))];
const [height, width, channels]: readonly [number, number, number] = shape;
console.log(name, height * width * channels);
// @ts-expect-error: pixels are numbers
read("text");
// @ts-expect-error: nobody renames the classes
labels.push("another");
"""
EVIL = '</script>"; process.exit(7); //`${process.exit(7)}\u2028*/ @wasm@\n# x'
TOLD = {
    "labels": ["a", "b"],
    "shape": [1, 2, 1],
    "levels": None,
    "output": {"kind": "uint8", "count": 2, "scale": 1 / 256, "zero": 0},
    "draws": False,
}


def test_read_gives_the_probabilities_of_the_page_in_node(package, node, page, tmp_path):
    images = data.load().x_test[:50]
    (tmp_path / "images").write_bytes(images.tobytes())
    (package / "read.mjs").write_text(READ)
    command = [node, "read.mjs", tmp_path / "images"]
    done = subprocess.run(command, cwd=package, capture_output=True, check=True, text=True)
    made = json.loads(done.stdout)
    expected = in_node(node, page, images[..., None], tmp_path) / 256
    assert np.array_equal(np.array(made["found"]), expected)
    assert made["plain"] == made["found"][0]
    assert made["labels"] == list("0123456789")
    assert made["shape"] == [28, 28, 1]
    assert made["refused"] == "TypeError: pixels must hold 784 values. Got: 2."


@pytest.mark.long  # the compiler takes seconds, and is fetched first
def test_the_types_are_those_of_the_module(package, node, tmp_path):
    compiler = fetched("typescript", "5.9.3", tmp_path) / "lib" / "tsc.js"
    declared = (package / "index.d.ts").read_text()
    script = (package / "index.js").read_text()
    names = re.findall(r"^export declare \w+ (\w+)", declared, re.MULTILINE)
    assert names == re.findall(r"^export \w+ (\w+)", script, re.MULTILINE)
    (tmp_path / "use.ts").write_text(USE)
    command = [node, compiler, "--noEmit", "--strict", "--module", "nodenext", "use.ts"]
    for types, fault in [
        (declared, ""),
        (declared.replace("): number[]", "): string[]"), "Type 'string[]' is not assignable"),
        (declared.replace("readonly string[]", "string[]"), "Unused '@ts-expect-error'"),
    ]:
        (tmp_path / "index.d.ts").write_text(types)
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode == 0, fault in done.stdout) == (not fault, True), done.stdout


def test_npm_packs_four_files_without_a_warning(package, tmp_path):
    npm_command = shutil.which("npm")
    if not npm_command:
        pytest.skip("npm is not installed")
    (package / "other.txt").write_text("no part of the package")
    done = subprocess.run(
        [npm_command, "pack", "--dry-run", "--json", "--offline", f"--cache={tmp_path}"],
        cwd=package,
        capture_output=True,
        check=True,
        text=True,
        env=os.environ | {"HOME": str(tmp_path), "npm_config_update_notifier": "false"},
    )
    packed = json.loads(done.stdout)[0]
    record = json.loads((package / "package.json").read_text())
    assert (record["license"], record["private"]) == ("UNLICENSED", True)  # the owner chooses
    names = sorted(file["path"] for file in packed["files"])
    assert names == ["README.md", "index.d.ts", "index.js", "package.json"]
    assert (packed["name"], "warn" in done.stderr.lower()) == ("edge-model", False)


def test_what_a_bundle_says_is_text_in_every_file(tmp_path, node):
    told = TOLD | {"name": EVIL, "labels": [EVIL, "</script>"]}
    files = npm.assemble(told, b"module")
    assert "</script" not in "".join(files.values())
    assert json.loads(files["package.json"])["name"].replace("-", "").isalnum()
    assert "process" not in files["index.d.ts"]
    assert "`${" not in files["README.md"]
    script = files["index.js"].partition("const {instance}")[0]
    (tmp_path / "labels.mjs").write_text(f"{script}\nconsole.log(JSON.stringify(spec.labels));")
    done = subprocess.run([node, tmp_path / "labels.mjs"], capture_output=True, check=True)
    assert json.loads(done.stdout) == [EVIL, "</script>"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("edge", "edge-model"),
        ("../Évil", "vil-model"),
        ("___", "model"),
        ("a" * 300, "a" * 40 + "-model"),
    ],
)
def test_a_models_name_becomes_one_that_npm_takes(name, expected):
    assert npm.package_name(name) == expected


def test_a_package_needs_an_empty_folder(edge, package, capsys):
    for words, message in [
        ([], "--package needs --output"),
        (["--output", str(package)], "must be a new or an empty folder"),
    ]:
        assert to_web.main([str(edge), "--package", "npm", *words]) == 2
        assert message in capsys.readouterr().err
