"""OpenAI's Chat Completions, for OpenAI and all compatible vendors."""
