"""The engine does the talking: attempts, transport, framing. Async; knows no Django."""
