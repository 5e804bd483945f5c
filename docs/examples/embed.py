"""Which of several texts is the most similar to a question."""

from native_api import gateway


def similarity(first, second):
    return sum(x * y for x, y in zip(first, second, strict=True))


def most_similar(question, texts, model, caller):
    request = {"model": model, "input": [question, *texts]}
    data = gateway.embed_sync(request, caller).embeddings["data"]
    first, *others = [item["embedding"] for item in data]
    scores = [similarity(first, other) for other in others]
    return texts[scores.index(max(scores))]
