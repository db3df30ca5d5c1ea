"""The soak: a month in the field, in minutes. See docs/soak.md."""
