"""Which pictures are let in, wherever they are decoded."""

FORMATS = ("PNG", "JPEG", "BMP")
MOST_PIXELS = 25_000_000
