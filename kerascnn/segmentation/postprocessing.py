"""Post-processing of a mask: one component kept, small ones removed, holes filled; in TensorFlow ops.

They travel inside the exported model, so a served mask is the very mask that was evaluated; TensorFlow has no op for
connected components. Masks are bool (S, H, W), the slices of one volume.
"""

import tensorflow as tf


def largest_component(mask):
    """The largest part that is connected over faces, edges or corners; all of those that are as large."""
    return inside_box(mask, lambda part: part & keep_by_size(part, tf.reduce_max))


def most_confident_component(mask, confident):
    """The connected part with the most voxels of `confident`, bool (S, H, W); among equals the largest, or one of them.

    A false positive can be larger than the tumor, but the network is seldom as confident of it.
    """

    def change(part, confident_part):
        labels = components(part)
        voxels = tf.reshape(labels, [-1])
        sizes = tf.cast(tf.math.bincount(voxels), tf.int64)
        confident_sizes = tf.math.bincount(voxels, weights=tf.cast(tf.reshape(confident_part, [-1]), tf.int64))
        # more than any size, so that sizes decide only between equals
        order = tf.tensor_scatter_nd_update(confident_sizes * 2**31 + sizes, [[0]], [0])
        return part & (labels == tf.argmax(order, output_type=tf.int32))

    return inside_box(mask, change, confident)


def without_small_components(mask, voxels):
    """The parts, connected over faces, edges or corners, of at least `voxels` voxels."""
    return inside_box(mask, lambda part: part & keep_by_size(part, lambda _: voxels))


def keep_by_size(mask, least):
    """Where the component is as large as least(sizes of all) at least."""
    labels = components(mask)
    sizes = tf.math.bincount(tf.reshape(labels, [-1]))
    sizes = tf.tensor_scatter_nd_update(sizes, [[0]], [0])
    return tf.gather(sizes, labels) >= tf.maximum(least(sizes), 1)


def touching(numbers):
    """The highest of each voxel's number and those of its neighbours over faces, edges and corners."""
    for axis in range(3):
        numbers = highest_of_three(numbers, axis)
    return numbers


def beside(numbers):
    """The highest of each pixel's number and those of its neighbours over the sides, slice by slice."""
    return tf.maximum(highest_of_three(numbers, 1), highest_of_three(numbers, 2))


def components(mask, highest_near=touching):
    """Every voxel's component as a number from 1, 0 outside: int32 (S, H, W); numbers are not consecutive.

    Each voxel begins with its place as its number, and takes the highest near it, and then the one which the voxel at
    that place has come to, until nothing changes: that doubles the way of a number with each round.
    """
    inside = tf.cast(mask, tf.int32)
    numbers = tf.reshape(tf.range(1, tf.size(mask) + 1), tf.shape(mask)) * inside

    def spread(now, _):
        highest = highest_near(now) * inside
        return tf.gather(tf.concat([[0], tf.reshape(highest, [-1])], 0), highest), now

    last, _ = tf.while_loop(lambda now, before: tf.reduce_any(now != before), spread, (numbers, numbers - 1))
    return last


def highest_of_three(numbers, axis):
    """Each number, its neighbour before and its neighbour after: the highest, 0 beyond the edges.

    Three times as fast as pooling in three dimensions, which takes no whole numbers.
    """
    padded = tf.pad(numbers, [[int(axis == other)] * 2 for other in range(3)])
    before, after = (
        tf.slice(padded, [start * (axis == other) for other in range(3)], tf.shape(numbers)) for start in (0, 2)
    )
    return tf.maximum(numbers, tf.maximum(before, after))


def without_holes(mask):
    """The mask and, slice by slice, what it encloses; outside is what an edge of the slice reaches over pixel sides."""

    def filled(part):
        free = components(~tf.pad(part, [[0, 0], [1, 1], [1, 1]]), beside)
        return (free != free[:, :1, :1])[:, 1:-1, 1:-1]

    return inside_box(mask, filled)


def inside_box(mask, change, *others):
    """change(mask, *others), all (S, H, W), where `change` needs to see the mask's bounding box only."""
    places = tf.cast(tf.where(mask), tf.int32)

    def changed():
        first, size = tf.reduce_min(places, 0), tf.reduce_max(places, 0) - tf.reduce_min(places, 0) + 1
        part = change(*(tf.slice(each, first, size) for each in (mask, *others)))
        after = tf.shape(mask) - first - size
        return tf.pad(part, tf.stack([first, after], 1))

    return tf.ensure_shape(tf.cond(tf.shape(places)[0] > 0, changed, lambda: mask), mask.shape)
