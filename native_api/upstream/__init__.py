"""One request to one target: credentials, transport, decoding, redaction. Async, without Django."""
