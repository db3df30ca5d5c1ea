"""The cloud on the bench: DPS and IoT Hub, as devices see them."""
