"""Water, electricity, gas: what a household pays for its usage."""
