"""The pins of an ESP32-C3 module, by name."""

NAME = "ESP32_GENERIC_C3"

# development boards carry an addressable RGB LED, which a plain pin can not light
LED = None
