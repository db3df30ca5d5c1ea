"""The service side over HTTP: DPS and IoT Hub as their service SDKs see them."""
