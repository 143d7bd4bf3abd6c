#!/usr/bin/env python3
"""A real, small training: scikit-learn's digits, some seconds.

A figure a line on stdout, a progress bar on stderr, as training scripts have them.
`--fail-at N` raises in epoch N, `--hang-at N` waits there to be killed (and says so on stdout).
The seeds are fixed: each time it prints the same figures.
"""
import argparse
import signal

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from tqdm import tqdm

PIXELS = 64


def batches(x, y, size, rng):
    order = rng.permutation(len(x))
    for start in range(0, len(x), size):
        chosen = order[start : start + size]
        yield x[chosen].reshape(-1, PIXELS), y[chosen]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--fail-at", type=int)
    parser.add_argument("--hang-at", type=int)
    options = parser.parse_args()

    rng = np.random.default_rng(7)
    digits = load_digits()
    x = digits.data / 16.0
    train_x, test_x, train_y, test_y = train_test_split(x, digits.target, test_size=0.25, random_state=7)
    model = MLPClassifier(hidden_layer_sizes=(64,), learning_rate_init=1e-3, random_state=7)
    classes = np.arange(10)
    best = 0.0
    print(f"digits: {len(train_x)} to train on, {len(test_x)} to test", flush=True)

    bar = tqdm(range(1, options.epochs + 1), desc="epochs", unit="ep")
    for epoch in bar:
        if epoch == options.fail_at:
            # A batch of the wrong width: the error that a real script would meet.
            train_x = train_x[:, 1:]
        if epoch == options.hang_at:
            print("waiting", flush=True)
            signal.pause()
        for batch_x, batch_y in batches(train_x, train_y, 8, rng):
            model.partial_fit(batch_x, batch_y, classes=classes)
        loss = log_loss(test_y, model.predict_proba(test_x), labels=classes)
        accuracy = model.score(test_x, test_y)
        best = max(best, accuracy)
        bar.set_postfix(loss=f"{loss:.3f}")
        print(f"epoch={epoch} loss={loss:.4f} accuracy={accuracy:.4f}", flush=True)
    print(f"best accuracy {best:.4f}", flush=True)


if __name__ == "__main__":
    main()
