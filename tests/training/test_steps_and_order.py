"""How many steps, at which rate, with which examples."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from crosslift.streams import stream
from crosslift.training.order import BatchSampler, micro_batches
from crosslift.training.schedule import learning_rate, validation_steps
from crosslift.training.trainer import SFTConfig, num_steps, steps_per_epoch


def config(**changes):
    settings = {"epochs": 2, "learning_rate": 1.0, "batch_examples": 8} | changes
    return SFTConfig(**settings)


PUBLISHED = {
    10_000: {1: 120, 2: 240, 4: 474, 5: 588, 6: 708, 9: 1056, 10: 1176},
    3_024: {1: 36, 2: 72, 4: 144, 5: 180, 6: 216, 9: 324, 10: 360},
}


@pytest.mark.parametrize(
    ("per_language", "num_languages", "expected"),
    [(n, k, steps) for n, table in PUBLISHED.items() for k, steps in table.items()],
)
def test_published_step_counts_are_those_of_a_ceiling_per_epoch(per_language, num_languages, expected):
    assert num_steps(per_language * num_languages, config(epochs=6, batch_examples=512)) == expected


def test_fractional_epochs_round_up_once():
    assert num_steps(100, config(epochs=0.5, batch_examples=10)) == 5
    assert num_steps(100, config(epochs=0.55, batch_examples=10)) == 6
    assert num_steps(100, config(epochs=0.1 + 0.2, batch_examples=10)) == 3
    assert num_steps(3, config(epochs=0.01)) == 1


def test_steps_are_taken_as_they_are():
    assert num_steps(10_000, config(epochs=None, steps=7)) == 7


def test_batches_in_tokens_need_the_number_of_tokens():
    by_tokens = config(batch_examples=None, batch_tokens=100)
    assert num_steps(50, by_tokens, num_tokens=1001) == 22
    assert steps_per_epoch(5, by_tokens, num_tokens=10_000) == 5  # never a step without an example
    with pytest.raises(ValueError, match="num_tokens"):
        num_steps(50, by_tokens)


def test_learning_rate_rises_to_its_peak_and_falls_towards_zero():
    for schedule in ("linear", "cosine"):
        rates = [learning_rate(s, 100, config(schedule=schedule, warmup_share=0.1)) for s in range(100)]
        assert rates[:10] == pytest.approx([(s + 1) / 10 for s in range(10)])
        assert max(rates) == 1.0
        assert all(a > b for a, b in pairwise(rates[10:]))
        assert 0 < rates[-1] < 0.02
    constant = [learning_rate(s, 100, config(schedule="constant", warmup_share=0.0)) for s in range(100)]
    assert set(constant) == {1.0}


def lengths(n=103):
    return stream(0, "lengths").integers(5, 60, n)


@pytest.mark.parametrize("batch", [{"batch_examples": 8}, {"batch_examples": None, "batch_tokens": 300}])
def test_an_epoch_shows_every_example_once_in_another_order(batch):
    order = BatchSampler(lengths(), config(**batch), seed=3)
    epochs = [
        np.concatenate([order.batch(e * order.steps_per_epoch + s) for s in range(order.steps_per_epoch)])
        for e in range(2)
    ]
    assert all(sorted(epoch) == list(range(103)) for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()


def test_batches_of_an_epoch_are_of_equal_size():
    order = BatchSampler(lengths(), config(batch_examples=10), seed=0)
    sizes = [len(order.batch(s)) for s in range(order.steps_per_epoch)]
    assert len(sizes) == 11
    assert set(sizes) == {9, 10}


def test_batches_in_tokens_are_of_equal_size_and_never_empty():
    found = lengths()
    order = BatchSampler(found, config(batch_examples=None, batch_tokens=300), seed=0)
    sizes = [found[order.batch(s)].sum() for s in range(order.steps_per_epoch)]
    assert max(sizes) - min(sizes) < 2 * 60
    long = np.array([1000, 1, 1, 1, 1000])
    order = BatchSampler(long, config(batch_examples=None, batch_tokens=400), seed=0)
    assert [len(order.batch(s)) for s in range(5)] == [1] * 5


def test_a_batch_depends_on_seed_and_step_alone():
    forwards, backwards = (BatchSampler(lengths(), config(), seed=1) for _ in range(2))
    batches = [forwards.batch(s).tolist() for s in range(30)]
    assert [backwards.batch(s).tolist() for s in reversed(range(30))] == batches[::-1]
    assert BatchSampler(lengths(), config(), seed=2).batch(0).tolist() != batches[0]


def test_batches_are_no_purer_in_language_than_chance():
    """Grouping by length would make them so, where one language takes more tokens than another."""
    language = np.arange(2000) % 2
    order = BatchSampler(np.where(language, 90, 30), config(batch_examples=20), seed=0)
    shares = [language[order.batch(s)].mean() for s in range(order.steps_per_epoch)]
    assert np.std(shares) < 1.3 * np.sqrt(0.25 / 20)


def test_an_unshuffled_order_is_the_mixture_s():
    order = BatchSampler(lengths(), config(), seed=5, shuffle=False)
    assert np.concatenate([order.batch(s) for s in range(order.steps_per_epoch)]).tolist() == list(range(103))


@pytest.mark.parametrize("padded", [True, False])
def test_forward_passes_fit_and_hold_every_example_once(padded):
    found = lengths()
    parts = list(micro_batches(np.arange(103), found, max_tokens=200, padded=padded))
    assert sorted(np.concatenate(parts)) == list(range(103))
    cost = [len(p) * found[p].max() if padded else found[p].sum() for p in parts]
    assert max(cost) <= 200
    assert all(found[a].min() >= found[b].max() for a, b in pairwise(parts))


def test_an_example_longer_than_a_forward_pass_goes_alone():
    assert [p.tolist() for p in micro_batches(np.arange(3), np.array([5, 500, 5]), max_tokens=20, padded=False)] == [
        [1],
        [0, 2],
    ]


def test_every_epoch_goes_through_the_stages_in_order_and_shuffles_within_them():
    order = BatchSampler(lengths(), config(batch_examples=8), seed=3, stages=(40, 23, 40))
    epochs = [
        np.concatenate([order.batch(e * order.steps_per_epoch + s) for s in range(order.steps_per_epoch)])
        for e in range(2)
    ]
    for epoch in epochs:
        for start, end in ((0, 40), (40, 63), (63, 103)):
            assert sorted(epoch[start:end]) == list(range(start, end))
    assert (epochs[0] != epochs[1]).any()
    other = BatchSampler(lengths(), config(batch_examples=8), seed=4, stages=(40, 23, 40))
    assert other.batch(0).tolist() != order.batch(0).tolist()
    unshuffled = BatchSampler(lengths(), config(), seed=5, shuffle=False, stages=(40, 63))
    assert np.concatenate([unshuffled.batch(s) for s in range(unshuffled.steps_per_epoch)]).tolist() == list(range(103))


def test_validation_may_come_every_so_many_steps():
    config = SFTConfig(learning_rate=1e-5, epochs=1, batch_examples=64, select_by="loss", validate_every_steps=50)
    assert validation_steps(config, 156, 156) == {50, 100, 150, 156}
    assert validation_steps(config, 20, 20) == {20}
