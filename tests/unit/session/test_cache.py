"""A table within a budget of bytes."""

from __future__ import annotations

import threading

import pytest

from inter2former.session.cache import ByteCache


def test_the_least_recently_used_leaves_first():
    cache = ByteCache(10)
    for key in "abc":
        cache.put(key, key.upper(), 3)
    assert cache.get("a") == "A"
    cache.put("d", "D", 3)
    assert [key in cache for key in "abcd"] == [True, False, True, True]
    assert (cache.used, len(cache)) == (9, 3)


def test_a_new_value_takes_the_place_of_the_old():
    cache = ByteCache(10)
    cache.put("a", 1, 8)
    cache.put("a", 2, 4)
    assert (cache.get("a"), cache.used) == (2, 4)


def test_what_never_fits_is_not_kept_and_drives_nothing_useful_to_stay():
    cache = ByteCache(10)
    cache.put("a", 1, 4)
    cache.put("b", 2, 11)
    assert (cache.get("b"), cache.used) == (None, 0)


def test_forgetting():
    cache = ByteCache(10)
    cache.put("a", 1, 4)
    cache.forget(["a", "x"])
    assert (cache.get("a"), cache.used) == (None, 0)


def test_a_negative_budget_is_refused():
    with pytest.raises(ValueError, match="the budget is -1 bytes"):
        ByteCache(-1)


def test_threads_leave_the_sum_right():
    cache = ByteCache(100)

    def work(first):
        for number in range(500):
            cache.put((first, number % 7), number, number % 13)
            cache.get((1 - first, number % 5))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.used == sum(size for _, size in cache._entries.values()) <= 100
