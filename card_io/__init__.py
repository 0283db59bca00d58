"""The card side, and what both sides share: records, delivery files, keys, scalar MACs."""
