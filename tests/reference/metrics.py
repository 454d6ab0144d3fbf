"""Figures of predictions by scikit-learn, of classes and of values.

Run it with `python3 tests/reference/metrics.py` (it needs NumPy and scikit-learn) to make `metrics.json` anew;
`tests/metrics.rs` computes the same figures from the same predictions. Probabilities are recorded as weights, whole numbers
of which each row's sum is 1 when divided by it in float32, and values as eighths, so that both sides have the same bits.
A figure that is not defined is null.
"""
import json
import pathlib
import warnings

import numpy as np
from sklearn import metrics
from sklearn.dummy import DummyClassifier, DummyRegressor

BINS = 15
# rows, classes, the largest weight, what the weight of the true class gains, and the classes without rows
CLASSES = [
    dict(name="two classes", rows=120, classes=2, most=1000, gain=300, absent=[]),
    dict(name="two classes, ties, sure and wrong", rows=150, classes=2, most=3, gain=1, absent=[]),
    dict(name="two classes, rows of one", rows=20, classes=2, most=50, gain=5, absent=[0]),
    dict(name="two classes, all predicted as one", rows=40, classes=2, most=0, gain=0, absent=[]),
    dict(name="three classes, one absent", rows=90, classes=3, most=40, gain=25, absent=[1]),
    dict(name="three classes, ties", rows=100, classes=3, most=2, gain=1, absent=[]),
    dict(name="seven classes", rows=210, classes=7, most=100, gain=60, absent=[]),
    dict(name="seven classes, two absent", rows=100, classes=7, most=9, gain=4, absent=[0, 5]),
    dict(name="seven classes, rows of one", rows=15, classes=7, most=9, gain=4, absent=[0, 1, 2, 3, 5, 6]),
]
# rows, outputs, the scale of the errors; whether the targets of the first output are all the same
VALUES = [
    dict(name="one value", rows=101, outputs=1, noise=20, constant=False),
    dict(name="three values", rows=64, outputs=3, noise=90, constant=False),
    dict(name="worse than the mean, ties", rows=40, outputs=1, noise=400, constant=False),
    dict(name="equal targets", rows=12, outputs=2, noise=5, constant=True),
    dict(name="one row", rows=1, outputs=1, noise=9, constant=True),
]


def calibration_error(y, p):
    """As in Guo et al., 2017: bins of equal width that hold their upper bounds."""
    sure, right = p.max(1), p.argmax(1) == y
    bins = np.clip(np.ceil(sure * BINS).astype(int), 1, BINS)
    return sum(abs((right[bins == b]).sum() - sure[bins == b].sum()) for b in range(1, BINS + 1)) / len(y)


def per_class(figure, rows):
    """Each class's figure; none where it is a share of no rows."""
    return [float(value) if count else None for value, count in zip(figure, rows)]


def of_classes(case, random):
    count, k = case["rows"], case["classes"]
    there = [c for c in range(k) if c not in case["absent"]]
    y = random.choice(there, count, p=np.arange(1, len(there) + 1) / sum(range(1, len(there) + 1)))
    y[: len(there)] = there
    weights = random.integers(0, case["most"] + 1, (count, k))
    weights[np.arange(count), y] += random.integers(0, case["gain"] + 1, count)
    weights[weights.sum(1) == 0] = 1
    single = weights.astype(np.float32) / weights.sum(1, keepdims=True).astype(np.float32)
    p, taken, every = single.astype(np.float64), single.argmax(1), range(k)
    normalised = p / p.sum(1, keepdims=True)
    one = len(there) == 1
    ranked = not one and len(there) == k
    scores = p[:, 1] if k == 2 else p
    against = y if k == 2 else np.eye(k, dtype=int)[y]
    support, predicted = np.bincount(y, minlength=k), np.bincount(taken, minlength=k)
    part = dict(labels=every, average=None, zero_division=0)
    dummy = DummyClassifier(strategy="prior").fit(p, y)
    prior = np.zeros((count, k))
    prior[:, dummy.classes_] = dummy.predict_proba(p)
    expected = dict(
        accuracy=metrics.accuracy_score(y, taken),
        balanced_accuracy=metrics.balanced_accuracy_score(y, taken),
        log_loss=metrics.log_loss(y, normalised, labels=every),
        roc_auc=metrics.roc_auc_score(against, scores) if ranked else None,
        average_precision=metrics.average_precision_score(against, scores) if ranked else None,
        precision=per_class(metrics.precision_score(y, taken, **part), predicted),
        recall=per_class(metrics.recall_score(y, taken, **part), support),
        f1=per_class(metrics.f1_score(y, taken, **part), support + predicted),
        f1_macro=metrics.f1_score(y, taken, average="macro", zero_division=0),
        matthews=None if one else metrics.matthews_corrcoef(y, taken),
        calibration_error=calibration_error(y, p),
        support=support.tolist(),
        baseline=dict(
            accuracy=metrics.accuracy_score(y, dummy.predict(p)),
            log_loss=metrics.log_loss(y, prior, labels=every),
        ),
    )
    if ranked and k > 2:
        assert abs(expected["roc_auc"] - metrics.roc_auc_score(y, p, multi_class="ovr")) < 1e-6
    if k == 2:
        expected["f1_positive"] = metrics.f1_score(y, taken, zero_division=0)
    return dict(name=case["name"], classes=k, labels=y.tolist(), weights=weights.tolist(), expected=expected)


def of_values(case, random):
    shape = (case["rows"], case["outputs"])
    y = random.integers(-300, 300, shape)
    if case["constant"]:
        y[:, 0] = 37
    predicted = y + random.integers(-case["noise"], case["noise"] + 1, shape)
    y8, p8 = y / 8, predicted / 8
    error, rows = np.abs(y8 - p8), np.zeros(shape)
    mean = DummyRegressor().fit(rows, y8).predict(rows).reshape(shape)
    expected = dict(
        rmse=metrics.root_mean_squared_error(y8, p8),
        mae=metrics.mean_absolute_error(y8, p8),
        r2=None if case["constant"] else metrics.r2_score(y8, p8),
        median_absolute_error=metrics.median_absolute_error(y8, p8),
        absolute_error_90=np.quantile(error, 0.9, axis=0).mean(),
        baseline=dict(rmse=metrics.root_mean_squared_error(y8, mean), mae=metrics.mean_absolute_error(y8, mean)),
    )
    return dict(name=case["name"], targets=y.tolist(), predicted=predicted.tolist(), expected=expected)


def main():
    warnings.simplefilter("ignore", metrics._classification.UndefinedMetricWarning)
    warnings.simplefilter("ignore", UserWarning)
    random = np.random.default_rng(0)
    cases = dict(
        classes=[of_classes(case, random) for case in CLASSES],
        values=[of_values(case, random) for case in VALUES],
    )
    text = json.dumps(cases, default=float, separators=(",", ":"), allow_nan=False)
    pathlib.Path(__file__).with_suffix(".json").write_text(text.replace('{"name"', '\n{"name"') + "\n")


if __name__ == "__main__":
    main()
