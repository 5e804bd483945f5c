"""Real clients against a real gateway in front of scripted providers: python -m scripts.acceptance

Every client is installed from its registry into a temporary folder, in its newest version. What it
printed, what reached the provider and the usage records decide. TRANSCRIPT.md is the last full run.
"""
