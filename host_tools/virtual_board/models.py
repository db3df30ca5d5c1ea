"""The chips that a virtual board can have: data only.

Owns their identities, where their registers lie and what their ROM says. Sources: the technical
reference manuals of ESP32, ESP32-C3 and ESP32-S3, and which registers esptool reads for what.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from host_tools.errors import CommandError
from host_tools.virtual_board.efuse_layout import C3_EFUSES, ESP32_EFUSES, S3_EFUSES, EfuseLayout

# what machine.reset_cause() says on an ESP32
POWER_ON, HARD_RESET, WATCHDOG, DEEP_SLEEP, SOFT_RESET = range(1, 6)


@dataclass(frozen=True)
class SpiRegisters:
    """Where the SPI controller of the flash is: its base, and offsets from that."""

    base: int
    usr1: int
    usr2: int
    w0: int
    cmd: int = 0x00
    addr: int = 0x04
    address_on_top: bool = False  # of its register, when it is shorter than that


@dataclass(frozen=True)
class Model:
    """One kind of chip.

    chip_id: in GET_SECURITY_INFO and in image headers; security_info: whether the ROM knows that
    command. bootloader: where in flash the ROM looks for an image header. first: what it says
    first after a reset, then `resets` by cause, then `boots` (run, download). watchdog: the
    register whose top bit starts the RTC's watchdog. registers: those with a value of their own.
    """

    name: str
    title: str
    chip_id: int
    security_info: bool
    bootloader: int
    efuses: EfuseLayout
    spi: SpiRegisters
    clock_divider: int
    strapping: int
    first: str
    resets: Mapping[int, str]
    boots: tuple[str, str]
    watchdog: int = 0
    secure_boot_entry: int = 0  # a pointer that esptool bends to start its stub on a secure S3
    registers: Mapping[int, int] = field(default_factory=dict)

    def said(self, cause: int, download: bool, secure: bool = False) -> bytes:
        """Return what the ROM prints after a reset for this cause; secure: its download mode."""
        if cause == SOFT_RESET:
            return b""
        waits = "wait uart download(secure mode)\r\n" if secure else "waiting for download\r\n"
        text = f"{self.first}rst:{self.resets[cause]},boot:{self.boots[download]}\r\n"
        return (text + waits * download).encode()


_ESP32 = Model(
    name="esp32",
    title="ESP32",
    chip_id=0,
    security_info=False,
    bootloader=0x1000,
    efuses=ESP32_EFUSES,
    spi=SpiRegisters(0x3FF42000, 0x20, 0x24, 0x80, address_on_top=True),
    clock_divider=0x3FF40014,
    strapping=0x3FF44038,
    first="ets Jul 29 2019 12:21:46\r\n\r\n",
    resets={
        POWER_ON: "0x1 (POWERON_RESET)",
        HARD_RESET: "0xc (SW_CPU_RESET)",
        WATCHDOG: "0x7 (TG0WDT_SYS_RESET)",
        DEEP_SLEEP: "0x5 (DEEPSLEEP_RESET)",
    },
    boots=("0x13 (SPI_FAST_FLASH_BOOT)", "0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))"),
    registers={
        0x40001000: 0x00F01D83,  # by which it is told from other chips
        0x3FF6607C: 0x80000000 | 0x16042000,  # third bit of the revision: v3
        # calibration by which stubs know the crystal: 1600 * 15625 * 64 / 40 = 40 MHz
        0x3FF5F06C: 1600 << 7,
    },
)
_C3 = Model(
    name="esp32c3",
    title="ESP32-C3",
    chip_id=5,
    security_info=True,
    bootloader=0,
    efuses=C3_EFUSES,
    spi=SpiRegisters(0x60002000, 0x1C, 0x20, 0x58),
    clock_divider=0x60000014,
    strapping=0x60004038,
    first="ESP-ROM:esp32c3-api1-20210207\r\nBuild:Feb  7 2021\r\n",
    resets={
        POWER_ON: "0x1 (POWERON)",
        HARD_RESET: "0xc (RTC_SW_CPU_RST)",
        WATCHDOG: "0x7 (TG0WDT_SYS_RST)",
        DEEP_SLEEP: "0x5 (DSLEEP)",
    },
    boots=("0xc (SPI_FAST_FLASH_BOOT)", "0x4 (DOWNLOAD(USB/UART0/1))"),
    watchdog=0x60008090,
)
_S3 = replace(
    _C3,  # the same registers, but for one
    name="esp32s3",
    title="ESP32-S3",
    chip_id=9,
    efuses=S3_EFUSES,
    first="ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n",
    boots=("0x8 (SPI_FAST_FLASH_BOOT)", "0x0 (DOWNLOAD(USB/UART0))"),
    watchdog=0x60008098,
    secure_boot_entry=0x3FCEF688,
)
MODELS = {model.name: model for model in (_ESP32, _C3, _S3)}


def get(name: str) -> Model:
    """Return the model of a chip by its name as esptool writes it, e.g. "esp32c3"."""
    try:
        return MODELS[name]
    except KeyError:
        raise CommandError(
            f"no virtual board has chip {name!r}: there are {', '.join(MODELS)}"
        ) from None
