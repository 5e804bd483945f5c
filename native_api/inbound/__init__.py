"""How clients speak: checks and words of each API, and the limits of request bodies."""
