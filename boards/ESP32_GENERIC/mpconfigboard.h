// What the stock board of the same name has, under our name.
#include "boards/ESP32_GENERIC/mpconfigboard.h"

#undef MICROPY_HW_BOARD_NAME
#define MICROPY_HW_BOARD_NAME "Keystead on ESP32"
