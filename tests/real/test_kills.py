"""Statements 81, 82, 85: whoever is killed, there is one mail, with the true status and the log.

NOTIFY_DONE_KILLS is how many runs are killed (default 150), NOTIFY_DONE_KILL_SEED makes the choices.
By hand, two thousand: NOTIFY_DONE_KILLS=2000 tests/real/run.py test_kills
"""

import collections
import os
import random
import unittest
from concurrent.futures import ThreadPoolExecutor

import kills

AT_ONCE = 4


class KillTest(unittest.TestCase):
    def test_killed_at_random_instants(self):
        runs = int(os.environ.get("NOTIFY_DONE_KILLS", "150"))
        seed = int(os.environ.get("NOTIFY_DONE_KILL_SEED", random.randrange(1 << 32)))
        print(f"seed {seed}, {runs} runs", flush=True)
        sink = kills.Sink()
        self.addCleanup(sink.shutdown)

        def one(number):
            try:
                return number, kills.one_run(number, seed, sink)
            except Exception as error:
                return number, kills.Outcome(wrong=[repr(error)])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            outcomes = list(pool.map(one, range(runs)))
        for number, outcome in outcomes:
            if outcome.wrong:
                print(f"run {number}, {outcome.target} killed: {'; '.join(outcome.wrong)}")
        print(dict(collections.Counter(outcome.target for _, outcome in outcomes)))
        print("sent again, the mailer killed at the last word:", sum(outcome.sent_again for _, outcome in outcomes))
        print("interrupted:", sum(outcome.interrupted for _, outcome in outcomes))
        bad = [number for number, outcome in outcomes if outcome.wrong]
        self.assertEqual(bad, [], f"seed {seed}")
