"""IoT Hubs: devices, twins, messages and methods."""
