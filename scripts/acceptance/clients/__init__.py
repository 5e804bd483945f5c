"""The clients. Each module gives the cases of its own."""
