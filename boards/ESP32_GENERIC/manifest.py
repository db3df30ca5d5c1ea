# Frozen into this board's image: the stock set, the board's pins, umqtt.simple and Keystead.
include("$(PORT_DIR)/boards/manifest.py")
freeze("modules")
require("umqtt.simple")
include("../../firmware/manifest.py")
