"""The fuzzer's seeds and what it once found, in the normal run."""

from fuzz.test_replay import test_an_input_keeps_the_laws

__all__ = ["test_an_input_keeps_the_laws"]
