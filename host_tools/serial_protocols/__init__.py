"""pyserial's protocol handlers for rfc2217:// and socket://, made fast.

serial_line.use_fast_protocols() has pyserial look here first, for us and for esptool alike.
"""
