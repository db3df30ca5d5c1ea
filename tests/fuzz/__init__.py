"""Coverage-guided fuzzing of everything that meets foreign bytes.

Each harness is a module with SEEDS, TOKENS (words that help to find more) and run(data), which
raises if an oracle is violated. `python -m tests.fuzz` feeds them by atheris, for as long as
one likes (`make soak-emulator`). test_corpus.py feeds them what was found before, with every test
run and without atheris.
"""
