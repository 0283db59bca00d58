"""What an analyst does with tariff files at the command line: pure functions over files, no pricing of their own."""
