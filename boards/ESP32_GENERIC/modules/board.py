"""The pins of an ESP32 module, by name."""

NAME = "ESP32_GENERIC"

# where most ESP32 development boards have one; None if pin 2 is yours for something else
LED = 2
