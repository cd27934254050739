"""Noise is counted: reproducible, white, and as large as it says."""

from itertools import pairwise
from statistics import fmean, pstdev

from labctl_simulators.physics.noise import WhiteNoise, channel, splitmix64, uniform


def test_the_generator_is_splitmix64() -> None:
    # First outputs for seed 0 of the reference implementation.
    golden = 0x9E3779B97F4A7C15
    assert splitmix64(golden) == 0xE220A8397B1DCDAF
    assert splitmix64(2 * golden & 0xFFFFFFFFFFFFFFFF) == 0x6E789E6AA1B965F4


def test_normal_noise_is_white_with_unit_deviation() -> None:
    noise = WhiteNoise(channel(0, "furnace"))
    values = [noise.at(tick) for tick in range(20_000)]
    assert abs(fmean(values)) < 0.03
    assert abs(pstdev(values) - 1.0) < 0.03
    assert abs(fmean(a * b for a, b in pairwise(values))) < 0.03


def test_noise_of_a_tick_is_the_same_in_whatever_order_it_is_asked() -> None:
    forwards, backwards = WhiteNoise(channel(3, "oven")), WhiteNoise(channel(3, "oven"))
    ahead = [forwards.at(tick) for tick in range(100)]
    assert ahead == [backwards.at(tick) for tick in reversed(range(100))][::-1]


def test_names_and_seeds_give_streams_of_their_own() -> None:
    assert len({channel(seed, name) for seed in range(20) for name in ("a", "b", "furnace")}) == 60


def test_uniform_numbers_fill_their_range() -> None:
    values = [uniform(seed, "heater", -0.20, 0.10) for seed in range(500)]
    assert -0.20 <= min(values) < -0.19
    assert 0.09 < max(values) < 0.10
