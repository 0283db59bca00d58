"""Security modules: the terminal's (MAC1, MAC2) and the issuer's host (loads, limits, maintenance), in two forms."""
