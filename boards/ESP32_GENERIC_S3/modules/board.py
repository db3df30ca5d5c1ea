"""The pins of an ESP32-S3 module, by name."""

NAME = "ESP32_GENERIC_S3"

# development boards carry an addressable RGB LED, which a plain pin can not light
LED = None
