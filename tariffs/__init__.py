"""What a journey, a visit, a bill costs on a date, and who pays it."""
