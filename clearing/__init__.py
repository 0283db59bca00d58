"""Files in, money out."""
