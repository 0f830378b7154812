"""Which pictures are let in, wherever they are decoded."""

FORMATS = ("PNG", "JPEG", "BMP")
MOST_PIXELS = 25_000_000
# Of a volume that is outlined: its slices times the square of their longer side, 256 slices of 512 pixels. A square
# window is cut out of each slice, so a long and narrow one takes as much memory as a square.
MOST_VOXELS = 2**26
