"""Run one of CPython's own test modules, and write down what became of each test.

    python collector.py RESULT SECONDS MODULE

RESULT gets a JSON object: the tests' ids, each with its outcomes (several tests may share an id)
and with what was said of those that did not pass. This runs on the interpreter under test,
3.10 or later, with the standard library only. If it takes longer than SECONDS, it ends, and says on
stderr where it stood.

regrtest's own report leaves out what fails in ``setUpClass`` and in subtests. What else it does for
a module is done here: a directory to write in, and the resources that tests may use.
"""

import faulthandler
import json
import os
import signal
import sys
import time
import unittest

RESOURCES = ("cpu", "walltime")
"""What is not asked for by default; of the others these modules want only the network."""


class Outcomes(unittest.TestResult):
    """What became of each test, by id."""

    def __init__(self):
        super().__init__()
        self.outcomes = {}
        self.words = {}
        self._parts = set()

    def _note(self, test, outcome, words=""):
        self.outcomes.setdefault(test.id(), []).append(outcome)
        if words:
            self.words.setdefault(test.id(), []).append(words)

    def startTest(self, test):  # noqa: N802 - unittest's name, as those below
        super().startTest(test)
        self._parts.clear()

    def stopTest(self, test):  # noqa: N802
        super().stopTest(test)
        for outcome in sorted(self._parts):  # such a test has no other outcome
            self._note(test, outcome)

    def addSuccess(self, test):  # noqa: N802
        self._note(test, "passed")

    def addFailure(self, test, err):  # noqa: N802
        self._note(test, "failed", self._exc_info_to_string(err, test))

    def addError(self, test, err):  # noqa: N802
        self._note(test, "error", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):  # noqa: N802
        self._note(test, "skipped", reason)

    def addExpectedFailure(self, test, err):  # noqa: ARG002, N802
        self._note(test, "failed as expected")

    def addUnexpectedSuccess(self, test):  # noqa: N802
        self._note(test, "passed unexpectedly")

    def addSubTest(self, test, subtest, err):  # noqa: ARG002, N802
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._parts.add("failed in a part" if failed else "error in a part")
            self.words.setdefault(test.id(), []).append(self._exc_info_to_string(err, test))


def main(result, seconds, module):
    """Run a module's tests."""
    faulthandler.dump_traceback_later(float(seconds), exit=True)
    # where a shell has started us in the background, it is ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from test import support
    from test.support import os_helper

    support.use_resources = list(RESOURCES)
    outcomes = Outcomes()
    start = time.monotonic()
    with os_helper.temp_cwd(f"cpython-{os.getpid()}"):
        try:
            unittest.defaultTestLoader.loadTestsFromName("test." + module)(outcomes)
        except unittest.SkipTest as reason:
            outcomes.outcomes["test." + module] = ["skipped"]
            outcomes.words["test." + module] = [str(reason)]
    answer = {
        "seconds": time.monotonic() - start,
        "outcomes": outcomes.outcomes,
        "words": outcomes.words,
    }
    with open(result + ".part", "w", encoding="utf-8") as file:
        json.dump(answer, file)
    os.rename(result + ".part", result)


if __name__ == "__main__":
    sys.path[0] = ""  # as with -m: no test is to find what stands beside this file
    main(*sys.argv[1:])
