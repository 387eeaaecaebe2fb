"""Size, memory, instructions and equal bytes on each core, of a model that is known."""

import shutil

import pytest

from benchmarks.microcontroller import build, measure, tools
from benchmarks.microcontroller.boards import BOARDS
from benchmarks.microcontroller.records import FAILED, PASSED, TOO_LARGE
from mnist_edge.errors import InputError
from tests.benchmarks.microcontroller import stub

pytestmark = pytest.mark.skipif(
    not (shutil.which(tools.GCC) and shutil.which(tools.QEMU)),
    reason=f"needs {tools.PACKAGES}",
)
M0, M3, M4, M7, M33 = BOARDS
LOOP = '__asm__ volatile(".syntax unified\\n1: subs %0, #1\\nbne 1b" : "+l"(count) : : "cc");'


def measured(board, source, **options):
    inputs = stub.images()
    return measure.on_core(board, source, inputs, stub.answers(inputs), **options)


@pytest.mark.parametrize("board", BOARDS, ids=lambda one: one.core)
def test_each_core_gives_the_expected_bytes(board, tmp_path):
    got = measured(board, stub.write(tmp_path))
    assert (got.status, got.equal_count, got.golden_differing) == (PASSED, 20, 0), got.causes
    assert got.weights_bytes == stub.WEIGHTS
    assert 50 < got.code_bytes < 1500
    assert got.static_bytes == 0
    assert (got.scratch_bytes, got.input_bytes, got.output_bytes) == (16, 784, 10)
    assert 784 * 5 < got.instructions <= got.most_instructions < 784 * 80


def test_a_differing_byte_fails_and_is_counted(tmp_path):
    source = stub.write(tmp_path, body="if (input[0] > 127) output[9] ^= 1;")
    wrong = int((stub.images()[:, 0] > 127).sum())
    got = measured(M3, source)
    assert 0 < wrong < 20
    assert got.status == FAILED
    assert got.equal_count == 20 - wrong
    assert got.causes == (f"{wrong} of 20 images differ in a byte",)


def test_golden_vectors_that_differ_fail(tmp_path):
    got = measured(M4, stub.write(tmp_path, golden=3))
    assert (got.status, got.golden_differing) == (FAILED, 3)


@pytest.mark.parametrize("board", [M0, M4, M33], ids=lambda one: one.core)
def test_instructions_are_counted_exactly(board, tmp_path):
    """A loop of two instructions, run 500,000 times more, costs 1,000,000 more."""
    counts = []
    for times in (100, 500_100):
        body = f"uint32_t count = {times}; {LOOP}"
        counts.append(measured(board, stub.write(tmp_path, body=body)).instructions)
    # Either mean is of 20 calls, each rounded to a tick.
    assert abs(counts[1] - counts[0] - 1_000_000) <= board.instructions_per_tick


def test_the_stack_is_measured_to_its_deepest_word(tmp_path):
    small, large = (
        measured(M3, stub.write(tmp_path, stack=size)).stack_bytes for size in (100, 2100)
    )
    assert 100 <= small < 200
    assert large - small == 2000


def test_variables_and_library_code_are_the_models(tmp_path):
    plain = measured(M0, stub.write(tmp_path))
    more = "static volatile uint32_t held[50];\nstatic volatile uint64_t divisor = 3;"
    body = "held[0] = (uint32_t)(0x123456789ull / divisor); divisor = 3;"
    got = measured(M0, stub.write(tmp_path, more=more, body=body))
    assert got.status == PASSED
    assert got.static_bytes == 208
    assert got.code_bytes > plain.code_bytes + 200  # a division in software


def test_a_model_too_large_for_the_board_is_measured_as_far_as_it_goes(tmp_path):
    got = measured(M0, stub.write(tmp_path, scratch=20_000))
    assert (got.status, got.stack_bytes, got.equal_count) == (TOO_LARGE, None, None)
    assert got.weights_bytes == stub.WEIGHTS
    assert got.causes == ("microbit has 262,144 bytes of flash and 16,384 of RAM",)


def test_images_that_do_not_fit_into_flash_at_once_come_in_batches(tmp_path):
    inputs = stub.images(350)  # 274 kB, the microbit has 262
    got = measure.on_core(M0, stub.write(tmp_path), inputs, stub.answers(inputs))
    assert (got.status, got.equal_count) == (PASSED, 350)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("((void (*)(void))0xF0000000)();", "ended early"),
        ("volatile uint8_t huge[15600]; for (int i = 0; i < 15600; i++) huge[i] = 1;", "full"),
        ("#error no", "#error no"),
        ("stub_missing();", "undefined reference"),
    ],
    ids=["crash", "stack overflow", "does not compile", "does not link"],
)
def test_a_program_that_fails_is_one_line(body, cause, tmp_path):
    source = stub.write(tmp_path, more="void stub_missing(void);", body=f"\n{body}\n")
    got = measured(M0, source)
    assert got.status == FAILED
    assert len(got.causes) == 1
    assert cause in got.causes[0]


def test_a_program_that_does_not_end_is_ended(tmp_path):
    got = measured(M0, stub.write(tmp_path, body="for (;;) {}"), seconds=2)
    assert got.causes == ("qemu-system-arm took longer than 2 s",)


def test_a_program_can_read_and_write_no_file_of_the_host(tmp_path):
    """Semihosting is off: its trap is a fault."""
    target = tmp_path / "written"
    name = f'static const char name[] = "{target}";'
    body = (
        f"uint32_t arguments[3] = {{(uint32_t)name, 4, {len(str(target))}}};"
        'register uint32_t r0 __asm__("r0") = 1; register void *r1 __asm__("r1") = arguments;'
        '__asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");'
    )
    got = measured(M3, stub.write(tmp_path, more=name, body=body))
    assert got.status == FAILED
    assert not target.exists()


@pytest.mark.parametrize(
    "text",
    [
        "int main(void) { return 0; }",
        stub.comment(prefix="stub; int x"),
        stub.comment(scratch_bytes=-1),
        stub.comment()[:-9],
    ],
    ids=["no comment", "no identifier", "no size", "cut off"],
)
def test_another_c_file_is_one_line(text, tmp_path):
    (tmp_path / "c-int8.c").write_text(text)
    with pytest.raises(InputError, match=r"must be a C file of export\. Got: "):
        build.read(tmp_path / "c-int8.c")
