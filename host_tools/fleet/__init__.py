"""A fleet of devices in one process, to see what a cloud takes."""
