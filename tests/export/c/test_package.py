"""Packages build as they are: CMake for real, Arduino by its specification, ESP-IDF's commands."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from export import to_c
from export.c import convert, package
from mnist_edge.errors import InputError
from tests.export.c import nets

ARDUINO_H = """#include <stdint.h>
#include <stdio.h>
static unsigned long micros() { return 0; }
static void delay(int) {}
struct Port {
  void begin(int) {}
  void print(const char *text) { printf("%s", text); }
  void print(double value) { printf("%g", value); }
  void println(unsigned long value) { printf("%lu\\n", value); }
};
static Port Serial;
"""
needs_cmake = pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("cc")), reason="needs cmake and a C compiler"
)
needs_compiler = pytest.mark.skipif(not shutil.which("c++"), reason="needs a C++ compiler")


@pytest.fixture(scope="session")
def content():
    """A model of four inputs and two classes as a C file: the second is the larger input's."""
    net = nets.Builder((1, 4), "uint8", 1.0, 0)
    signed = net.op("QUANTIZE", [0], (1, 4), 1.0, -128)
    weights = net.tensor((2, 4), scale=[0.01, 0.01], data=[[100, 0, 0, 0], [0, 0, 0, 100]])
    bias = net.tensor((2,), "int32", scale=[0.01, 0.01], data=[0, 0])
    dense = net.op(
        "FULLY_CONNECTED",
        [signed, weights, bias],
        (1, 2),
        1.0,
        -128,
        options="FullyConnectedOptions",
    )
    soft = net.op("SOFTMAX", [dense], (1, 2), 1 / 256, -128, options="SoftmaxOptions", beta=1.0)
    net.op("QUANTIZE", [soft], (1, 2), 1 / 256, 0, "uint8")
    fields = {
        "project": "mnist-edge",
        "model": "tiny",
        "source_model_sha256": "0" * 64,
        "variant": "c-int8",
        "input": {"name": "image", "shape": (4,), "layout": "4 values", "range": (0, 255)},
        "output": {"name": "probabilities", "labels": ("first", "second")},
    }
    return convert.embed(net.content(), fields, np.array([[1, 2, 3, 4], [9, 0, 0, 1]], np.float32))


@pytest.fixture
def source(content, tmp_path):
    (tmp_path / "c-int8.c").write_bytes(content)
    return tmp_path / "c-int8.c"


def run(*command, **options):
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=60, **options
    )


def written(source, kind):
    folder = source.parent / "package"
    package.write(source, kind, folder)
    return folder


@needs_cmake
def test_the_cmake_package_builds_runs_and_tests_itself(source):
    folder = written(source, "cmake")
    build = folder / "build"
    made = run("cmake", "-S", folder, "-B", build, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    assert made.returncode == 0, made.stderr
    built = run("cmake", "--build", build)
    assert built.returncode == 0, built.stdout + built.stderr
    for image, answer in (("\1\2\3\4", "1 0.9531\n"), ("\t\2\3\1", "0 0.9961\n")):
        assert run(build / "classify", input=image).stdout == answer
    assert run(build / "classify", input="abc").returncode == 2
    assert run("ctest", cwd=build).returncode == 0


@needs_cmake
def test_the_cmake_packages_test_fails_if_a_golden_vector_differs(source):
    start = "golden_outputs[4] = {\n    "
    assert start in source.read_text()
    source.write_text(source.read_text().replace(start, start + "1 + "))
    build = source.parent / "build"
    run("cmake", "-S", written(source, "cmake"), "-B", build)
    run("cmake", "--build", build)
    assert run("ctest", cwd=build).returncode != 0


@needs_cmake
def test_another_cmake_project_takes_the_package_as_a_folder(source):
    written(source, "cmake")
    (source.parent / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.10)\nproject(own C)\nadd_subdirectory(package)\n"
        "add_executable(own own.c)\ntarget_link_libraries(own PRIVATE tiny)\n"
    )
    (source.parent / "own.c").write_text('#include "tiny.h"\nint main(void) { return 0; }\n')
    made = run("cmake", "-S", source.parent, "-B", source.parent / "build")
    assert made.returncode == 0, made.stderr
    assert run("cmake", "--build", source.parent / "build").returncode == 0


@needs_cmake
def test_the_esp_idf_component_registers_files_that_are_there(source):
    """ESP-IDF's function is replaced by one that builds a library of what it is given."""
    component = written(source, "esp-idf")
    (source.parent / "CMakeLists.txt").write_text(
        """cmake_minimum_required(VERSION 3.16)
project(idf C)
function(idf_component_register)
  cmake_parse_arguments(ARG "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  add_library(component STATIC ${ARG_SRCS})
  target_include_directories(component PUBLIC ${ARG_INCLUDE_DIRS})
  set(COMPONENT_LIB component PARENT_SCOPE)
endfunction()
add_subdirectory(package)
file(WRITE ${CMAKE_BINARY_DIR}/esp_timer.h
  "#include <stdint.h>\\nint64_t esp_timer_get_time(void);")
add_library(example package/examples/classify/main/main.c)
target_include_directories(example PRIVATE ${CMAKE_BINARY_DIR})
target_link_libraries(example PRIVATE component)
"""
    )
    build = source.parent / "build"
    made = run("cmake", "-S", source.parent, "-B", build)
    assert made.returncode == 0, made.stderr
    built = run("cmake", "--build", build)
    assert built.returncode == 0, built.stdout + built.stderr
    example = (component / "examples/classify/CMakeLists.txt").read_text()
    assert "$ENV{IDF_PATH}/tools/cmake/project.cmake" in example
    keys = [line.partition(":")[0] for line in (component / "idf_component.yml").open()]
    assert keys == ["version", "description", "dependencies", "  idf"]


# The specification of Arduino's library format, revision 2.2.
CATEGORIES = (
    "Display|Communication|Signal Input/Output|Sensors|Device Control|Timing|Data Storage|"
    "Data Processing|Other"
)
FIELDS = {
    "name": r"(?=.*[A-Za-z])[A-Za-z0-9][\w .-]*",
    "version": r"\d+\.\d+(\.\d+)?",
    "author": ".+",
    "maintainer": ".+",
    "sentence": ".+",
    "paragraph": ".+",
    "category": CATEGORIES,
    "url": r"https?://\S+",
    "architectures": r"\*|\w+(,\w+)*",
}


def violations(library):
    """What the folder breaks of the specification."""
    lines = (library / "library.properties").read_text(encoding="utf-8").splitlines()
    fields = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    found = [
        f"{name} is {fields.get(name, 'missing')}"
        for name, form in FIELDS.items()
        if not re.fullmatch(form, fields.get(name, ""), re.ASCII)
    ]
    if fields.get("name", "").startswith("Arduino"):
        found.append("names that start with Arduino are reserved")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,62}", library.name, re.ASCII):
        found.append("the folder's name")
    found += [
        f"{name} is not in src" for name in fields.get("includes", "").split(",")
        if not (library / "src" / name).is_file()
    ]  # fmt: skip
    if not (library / "src" / f"{fields.get('name')}.h").is_file():
        found.append("no header named as the library")
    sketches = [path for path in (library / "examples").glob("*") if path.is_dir()]
    found += [f"{one.name} has no sketch" for one in sketches if not sketch(one).is_file()]
    if not sketches:
        found.append("no example")
    found += [f"{path.name} is in the root" for path in library.glob("*.[ch]*")]
    return found


def sketch(folder):
    return folder / f"{folder.name}.ino"


def test_the_arduino_library_keeps_to_the_specification(source):
    assert violations(written(source, "arduino")) == []


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_breaks_the_specification(field, source):
    library = written(source, "arduino")
    path = library / "library.properties"
    path.write_text(re.sub(rf"^{field}=.*$", "", path.read_text(), flags=re.MULTILINE))
    assert f"{field} is missing" in violations(library)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("src", "source", "no header named as the library"),
        ("examples/classify/classify.ino", "examples/classify/main.ino", "classify has no sketch"),
        ("examples", "example", "no example"),
        ("src/tiny.c", "tiny.c", "tiny.c is in the root"),
    ],
)
def test_a_wrong_layout_breaks_the_specification(old, new, fault, source):
    library = written(source, "arduino")
    (library / old).rename(library / new)
    assert fault in violations(library)


@needs_compiler
def test_the_arduino_sketch_compiles_links_and_runs(source):
    """As Arduino builds it: the sketch as C++ with Arduino.h before it, the library as C."""
    library = written(source, "arduino")
    (source.parent / "Arduino.h").write_text(ARDUINO_H)
    (source.parent / "sketch.cpp").write_text(
        '#include <Arduino.h>\n#line 1 "classify.ino"\n'
        + sketch(library / "examples/classify").read_text()
        + "int main() { setup(); loop(); }\n"
    )
    words = ["-Wall", "-Wextra", "-Werror", f"-I{source.parent}", f"-I{library / 'src'}"]
    compiled = run("cc", *words, "-c", library / "src/tiny.c", "-o", source.parent / "tiny.o")
    assert compiled.returncode == 0, compiled.stderr
    program = source.parent / "program"
    linked = run(
        "c++", *words, source.parent / "sketch.cpp", source.parent / "tiny.o", "-o", program
    )
    assert linked.returncode == 0, linked.stderr
    assert run(program).stdout == "class 0, probability 0.5, microseconds 0\n"


def test_a_folder_with_something_in_it_is_left_alone(source):
    folder = source.parent / "package"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="must be a new or an empty folder"):
        package.write(source, "cmake", folder)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "change", ["/* interface */", '"prefix":"tiny"', '"uint8"', "/* mnist-edge"]
)
def test_another_c_file_is_refused_and_nothing_is_written(change, source):
    source.write_text(source.read_text().replace(change, ""))
    with pytest.raises(InputError, match="must be a C file of export"):
        package.write(source, "cmake", source.parent / "package")
    assert not (source.parent / "package").exists()


def test_a_package_needs_a_bundle_and_a_folder(tmp_path, capsys):
    assert to_c.main([str(tmp_path), "--package", "cmake"]) == 2
    assert capsys.readouterr().err.startswith("error: --package needs a bundle and --output")
