#!/usr/bin/env python3
"""Runs the tests that need real mail servers: tests/real/test_*.py.

    run.py [PATTERN…]      only tests whose name contains one of these

NOTIFY_DONE_BIN is the binary to test (default: the newest in target/). Needs what install.sh
installs, and root or sudo without a password, for Postfix. The last line is `N passed, N failed`.
"""

import signal
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import harness  # noqa: E402


def chosen(suite, patterns):
    """The tests of `suite` that match, flat."""
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from chosen(item, patterns)
        elif not patterns or any(pattern in item.id() for pattern in patterns):
            yield item


def main():
    if any(argument in ("-h", "--help") for argument in sys.argv[1:]):
        print(__doc__)
        return 0
    # So that the servers are ended when somebody ends us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    found = unittest.defaultTestLoader.discover(str(HERE), pattern="test_*.py")
    tests = list(chosen(found, sys.argv[1:]))
    try:
        result = unittest.TextTestRunner(verbosity=2).run(unittest.TestSuite(tests))
    finally:
        harness.shut_down()
    bad = [test for test, _ in result.failures + result.errors] + result.unexpectedSuccesses
    # A test with two failing subtests is one; what was skipped was not tested, so it doesn't pass.
    failed = len({getattr(test, "test_case", test).id() for test in bad})
    passed = result.testsRun - failed - len(result.skipped)
    for test, reason in result.skipped:
        print(f"skipped: {test}: {reason}", file=sys.stderr)
    if not tests:
        print("no test has such a name", file=sys.stderr)
    sys.stderr.flush()
    print(f"{passed} passed, {failed} failed")
    return 0 if tests and failed == 0 and not result.skipped else 1


if __name__ == "__main__":
    sys.exit(main())
