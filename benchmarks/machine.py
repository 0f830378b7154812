"""What stands with every timing: the machine that it was measured on, and how fast that was just then."""

import time

from kerascnn.provenance import provenance


def machine():
    """kerascnn's provenance, and `gflops`, the rate of float32 matrix products: shared machines swing by half."""
    return {**provenance(), "gflops": round(matrix_rate() / 1e9, 1)}


def matrix_rate(side=2048, seconds=2.0):
    """Operations a second of float32 matrix products."""
    import tensorflow as tf

    square = tf.random.stateless_uniform((side, side), [0, 0])
    multiply = tf.function(lambda x: tf.reduce_sum(tf.matmul(x, x)))
    float(multiply(square))
    started, count = time.perf_counter(), 0
    while time.perf_counter() < started + seconds:
        float(multiply(square))
        count += 1
    return count * 2 * side**3 / (time.perf_counter() - started)
