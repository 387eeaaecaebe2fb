"""The table of cores: compiler flag, QEMU machine, its addresses and its clock."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Board:
    """A core and the QEMU machine that has it.

    Attributes:
        core: Name of the core, as after "Cortex-".
        machine: QEMU's name of the machine.
        flash: Start and size in bytes of the memory for code, weights and images.
        ram: Start and size in bytes of the memory for everything else.
        serial: Address of the serial port.
        instructions_per_tick: Of SysTick at one instruction per nanosecond: 1000 MHz by its clock.
        is_nrf51: Whether the serial port is Nordic's; else it is Arm's CMSDK.
    """

    core: str
    machine: str
    flash: tuple[int, int]
    ram: tuple[int, int]
    serial: int
    instructions_per_tick: float
    is_nrf51: bool = False

    @property
    def cpu(self) -> str:
        """The compiler's name of the core."""
        return f"cortex-{self.core.lower()}"


_KB, _MB = 2**10, 2**20
_MPS2 = ((0, 4 * _MB), (0x20000000, 4 * _MB), 0x40004000, 40)  # at 25 MHz
BOARDS = (
    Board("M0", "microbit", (0, 256 * _KB), (0x20000000, 16 * _KB), 0x40002000, 62.5, True),
    Board("M3", "mps2-an385", *_MPS2),
    Board("M4", "mps2-an386", *_MPS2),
    Board("M7", "mps2-an500", *_MPS2),
    Board("M33", "mps2-an505", (0x10000000, 4 * _MB), (0x38000000, 4 * _MB), 0x40200000, 50),
)
CORES = tuple(one.core for one in BOARDS)
