"""What the project needs from outside, fetched without root into an ignored folder."""
