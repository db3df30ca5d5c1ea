# Frozen into an image built from MicroPython's sources; main.py stays a file one may replace.
require("umqtt.simple")
package("keystead")
package("rim")
