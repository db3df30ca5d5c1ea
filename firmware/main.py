"""Start Keystead. MicroPython compiles this file at every boot, so it holds nothing else."""

from rim.start import run

run()
