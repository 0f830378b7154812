"""What a network is before it is trained: sizes, receptive fields, memory, a diagram; and the classic filters."""
