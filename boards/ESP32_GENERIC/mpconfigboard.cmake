# The stock board of the same name, with Keystead frozen in.
include(boards/ESP32_GENERIC/mpconfigboard.cmake)

list(APPEND SDKCONFIG_DEFAULTS
    ${MICROPY_BOARD_DIR}/sdkconfig.board
)

set(MICROPY_FROZEN_MANIFEST ${MICROPY_BOARD_DIR}/manifest.py)
