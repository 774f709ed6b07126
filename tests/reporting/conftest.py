import pytest
from synthetic_study import synthetic


@pytest.fixture(scope="session")
def data():
    """A finished study, small: one model, 40 items."""
    return synthetic(models=("pocket-m",), num_items=40, num_resamples=200)


@pytest.fixture(scope="session")
def broken():
    """The same with a run on which the program failed three times in Swahili."""
    return synthetic(models=("pocket-m",), num_items=40, num_resamples=200, errors=3)
