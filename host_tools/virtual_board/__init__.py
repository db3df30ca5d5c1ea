"""The chip on the bench: boots the real firmware without a board."""
