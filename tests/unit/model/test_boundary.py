"""The boundary rules answer exactly what a loop over windows answers."""

from __future__ import annotations

import pytest
import torch

from inter2former.model.boundary import UNKNOWN, WINDOW, TokenSplit, select_boundary_tokens, window_is_mixed
from inter2former.model.boxes import prompt_box

STRIDE = 4


def naive_pixels(reference_map):
    """For every pixel, the set of states in the window around it, cut at the border."""
    height, width = reference_map.shape
    reach = WINDOW // 2
    return [
        [
            set(reference_map[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1].flatten().tolist())
            for x in range(width)
        ]
        for y in range(height)
    ]


def naive_tokens(reference_map, rule):
    windows = naive_pixels(reference_map)
    rows, columns = reference_map.shape[0] // STRIDE, reference_map.shape[1] // STRIDE
    box = prompt_box(reference_map, stride=STRIDE)
    flags = torch.zeros(rows, columns, dtype=torch.bool)
    for y, line in enumerate(windows):
        for x, states in enumerate(line):
            row, column = y // STRIDE, x // STRIDE
            inside = box.top <= row < box.bottom and box.left <= column < box.right
            mixed = len(states) > 1 if rule == "exact" else inside and states != {0}
            flags[row, column] |= mixed or reference_map[y, x] == UNKNOWN
    return flags


def random_map(seed):
    """Mostly one state, with some rectangles and single pixels of others."""
    rng = torch.Generator().manual_seed(seed)

    def draw(limit):
        return int(torch.randint(limit, (), generator=rng))

    reference_map = torch.full((STRIDE * (3 + draw(6)), STRIDE * (3 + draw(6))), (0, 1, 1, 3)[draw(4)]).to(torch.uint8)
    for _ in range(draw(4)):
        y, x = draw(reference_map.shape[0]), draw(reference_map.shape[1])
        reference_map[y : y + 1 + draw(9), x : x + 1 + draw(9)] = draw(5)
    return reference_map


@pytest.mark.parametrize("rule", ["exact", "release"])
@pytest.mark.parametrize("seed", range(12))
def test_tokens_equal_a_loop_over_windows(seed, rule):
    reference_map = random_map(seed)
    boundary = select_boundary_tokens(reference_map[None, None], rule=rule, stride=STRIDE)[0]
    assert torch.equal(boundary, naive_tokens(reference_map, rule))


@pytest.mark.parametrize("seed", range(4))
def test_pixels_equal_a_loop_over_windows(seed):
    reference_map = random_map(seed)
    expected = [[len(states) > 1 for states in line] for line in naive_pixels(reference_map)]
    assert window_is_mixed(reference_map[None, None])[0, 0].tolist() == expected


@pytest.mark.parametrize("state", [0, 1, 3, 4])
def test_one_state_everywhere_has_no_boundary(state):
    reference_map = torch.full((1, 1, 32, 48), state, dtype=torch.uint8)
    assert not select_boundary_tokens(reference_map, rule="exact", stride=16).any()


def test_unknown_everywhere_is_all_boundary():
    reference_map = torch.full((2, 1, 32, 48), UNKNOWN, dtype=torch.uint8)
    for rule in ("exact", "release"):
        assert select_boundary_tokens(reference_map, rule=rule, stride=16).all()


@pytest.mark.parametrize(
    ("reference_map", "message"),
    [
        (torch.zeros(32, 32, dtype=torch.uint8), r"reference map is \(32, 32\) torch.uint8"),
        (torch.zeros(1, 1, 32, 32), r"reference map is \(1, 1, 32, 32\) torch.float32"),
        (torch.zeros(1, 1, 32, 40, dtype=torch.uint8), "reference map is 32x40; both sides must be multiples of 16"),
    ],
)
def test_wrong_maps_are_refused(reference_map, message):
    with pytest.raises(ValueError, match=message):
        select_boundary_tokens(reference_map, rule="exact", stride=16)


def test_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="unknown boundary rule 'float'"):
        select_boundary_tokens(torch.zeros(1, 1, 16, 16, dtype=torch.uint8), rule="float", stride=16)


def test_a_split_holds_every_token_once():
    flags = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0)) < 0.4
    flags[1] = False
    split = TokenSplit.of(flags)
    for sample, boundary, interior in zip(flags.flatten(1), split.boundary, split.interior, strict=True):
        assert sample[boundary].all()
        assert not sample[interior].any()
        assert torch.cat((boundary, interior)).sort().values.tolist() == list(range(35))
    assert torch.equal(split.batch_boundary, flags.flatten().nonzero()[:, 0])
