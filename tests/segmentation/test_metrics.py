import numpy as np
import pytest
from scipy import ndimage

from kerascnn.segmentation.metrics import PooledDice, mean_interval, overlap_metrics, summary, surface_metrics
from tests.pretrained.test_readers import in_bench_environment


def square(top, left, size, side=16):
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + size, left : left + size] = 1
    return mask


def test_overlap_figures_are_those_of_hand_arithmetic():
    # 4 x 4 squares that share 4 x 2: TP 8, FP 8, FN 8, TN 256 - 24
    figures = overlap_metrics(square(2, 2, 4), square(2, 4, 4))
    expected = {"dice": 0.5, "iou": 1 / 3, "sensitivity": 0.5, "precision": 0.5, "specificity": 232 / 240}
    assert figures == pytest.approx({**expected, "volume_error": 0})
    assert overlap_metrics(square(2, 2, 4), square(2, 2, 5))["volume_error"] == pytest.approx(9 / 16)


@pytest.mark.parametrize(("rule", "dice"), [("one", 1.0), ("zero", 0.0), ("skip", np.nan)])
def test_two_empty_masks_follow_the_rule_and_one_alone_counts_nothing(rule, dice):
    empty = np.zeros((16, 16))
    assert overlap_metrics(empty, empty, rule)["dice"] == pytest.approx(dice, nan_ok=True)
    assert overlap_metrics(empty, square(0, 0, 2), rule)["dice"] == 0
    assert overlap_metrics(square(0, 0, 2), empty, rule)["dice"] == 0
    assert np.isnan(overlap_metrics(empty, square(0, 0, 2), rule)["sensitivity"])


def test_distances_of_two_points_are_those_of_the_ruler():
    truth, prediction = np.zeros((2, 9, 9)), np.zeros((2, 9, 9))
    truth[0, 1, 1] = prediction[0, 4, 5] = 1
    assert surface_metrics(truth, prediction) == {"hausdorff95": 5.0, "surface_distance": 5.0}
    assert surface_metrics(truth, prediction, (5, 2, 1))["hausdorff95"] == pytest.approx(np.hypot(6, 4))


def test_surface_figures_of_shifted_lines_are_those_of_hand_arithmetic():
    # Two rows of ten pixels, 3 apart, one of them with a pixel 10 beyond its end.
    truth, prediction = np.zeros((20, 40)), np.zeros((20, 40))
    truth[5, 5:15] = prediction[8, 5:15] = 1
    assert surface_metrics(truth, prediction) == {"hausdorff95": 3.0, "surface_distance": 3.0}
    prediction[8, 24] = 1
    figures = surface_metrics(truth, prediction)
    far = np.hypot(3, 10)
    assert figures["surface_distance"] == pytest.approx((20 * 3 + far) / 21)
    assert figures["hausdorff95"] == pytest.approx(np.percentile([3] * 10 + [far], 95))


def test_a_distance_to_nothing_is_not_a_number():
    assert np.isnan(surface_metrics(square(0, 0, 2), np.zeros((16, 16)))["hausdorff95"])


def test_a_summary_leaves_out_what_is_undefined():
    found = summary([0.5, np.nan, 1.0, None, 0.75])
    assert found == {
        "values": 3,
        "mean": 0.75,
        "median": 0.75,
        "standard_deviation": 0.25,
        "lowest": 0.5,
        "highest": 1.0,
    }
    assert summary([0.5])["standard_deviation"] is None
    assert summary([np.nan])["mean"] is None


def test_the_interval_of_a_mean_is_about_two_standard_errors_wide():
    values = np.random.default_rng(0).normal(0.8, 0.1, 100)
    low, high = mean_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std(ddof=1) / 10, rel=0.15)
    assert mean_interval([0.5]) is None
    assert mean_interval([1.0, 1.0, 1.0, 1.0 - 1e-16]) is None


def test_pooled_dice_counts_all_pixels_of_all_batches():
    metric = PooledDice()
    logits = np.where(square(2, 4, 4), 1.0, -1.0)[np.newaxis, ..., np.newaxis]
    metric.update_state(square(2, 2, 4)[np.newaxis, ..., np.newaxis], logits)
    assert float(metric.result()) == 0.5
    metric.update_state(square(2, 4, 4)[np.newaxis, ..., np.newaxis], logits)
    assert float(metric.result()) == 0.75


@pytest.mark.parity
@pytest.mark.parametrize(
    ("shape", "spacing"), [((48, 40), None), ((12, 32, 30), None), ((12, 32, 30), (5.0, 1.0, 0.8))]
)
def test_distances_and_dice_are_those_of_monai(tmp_path, shape, spacing):
    noise = [ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 2.0) for seed in (0, 1)]
    inner = tuple(slice(3, -3) for _ in shape)
    masks = [np.zeros(shape, np.uint8) for _ in range(2)]
    for mask, levels in zip(masks, (noise[0], noise[0] + 0.3 * noise[1]), strict=True):
        mask[inner] = levels[inner] > np.quantile(levels, 0.85)
    np.savez(tmp_path / "masks.npz", truth=masks[0], prediction=masks[1])
    code = f"""
import numpy as np, torch
from monai import metrics

stored = np.load("masks.npz")
masks = [torch.from_numpy(stored[name])[None, None].float() for name in ("prediction", "truth")]
options = {{"include_background": True, "spacing": {spacing}}}
print(float(metrics.compute_hausdorff_distance(*masks, percentile=95, **options)))
print(float(metrics.compute_average_surface_distance(*masks, symmetric=True, **options)))
print(float(metrics.compute_dice(*masks)))
"""
    ran = in_bench_environment(code, tmp_path)
    theirs = [float(line) for line in ran.stdout.splitlines()]
    distances = surface_metrics(*masks, spacing)
    ours = [distances["hausdorff95"], distances["surface_distance"], overlap_metrics(*masks)["dice"]]
    assert ours == pytest.approx(theirs, rel=1e-4), ran.stderr
