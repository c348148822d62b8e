"""Customers of a made-up telephone company, and which of them left.

Real churn data can't be published, so this module makes some up: the same customers each time, with the columns, the
imbalance and the noise that are typical of such data.
"""

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

COUNT = 3000
SEED = 20240501


def load() -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """Return the customers and whether they left, split into training and validation data: x, x, y, y."""
    rng = np.random.default_rng(SEED)
    customers = pd.DataFrame(
        {
            "tenure_months": rng.gamma(2.0, 14.0, COUNT).clip(0, 96).round(),
            "monthly_charge": rng.normal(62.0, 22.0, COUNT).clip(15, 140).round(2),
            "data_gb": rng.lognormal(2.2, 0.8, COUNT).round(1),
            "support_calls": rng.poisson(1.4, COUNT).astype(float),
            "late_payments": rng.poisson(0.6, COUNT).astype(float),
            "contract_months": rng.choice([1.0, 12.0, 24.0], COUNT, p=[0.5, 0.3, 0.2]),
            "age": rng.normal(44.0, 15.0, COUNT).clip(18, 90).round(),
        }
    )
    left = pd.Series(rng.random(COUNT) < _chance(customers), name="left")
    return tuple(train_test_split(customers, left, test_size=0.4, random_state=SEED, stratify=left))


def _chance(customers: pd.DataFrame) -> np.ndarray:
    """Return how likely each customer is to leave.

    Nothing here is linear: a month-to-month customer who often calls support differs from a new one on a long contract.
    So deeper trees and more rounds find more.
    """
    monthly = customers["contract_months"] == 1
    new = customers["tenure_months"] < 12
    dear = customers["monthly_charge"] > 75
    light = customers["data_gb"] < 6
    annoyed = customers["support_calls"] >= 3
    score = (
        -2.2
        + 1.5 * (monthly & new)
        + 2.2 * (annoyed & monthly)
        + 2.0 * (dear & light)
        + 0.9 * customers["late_payments"]
        - 0.02 * customers["tenure_months"]
        + 1.3 * (dear & new & ~annoyed)
    )
    return 1 / (1 + np.exp(-1.6 * score))
