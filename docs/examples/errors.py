"""Answer although the gateway refuses."""

from native_api import gateway
from native_api.exceptions import BudgetExceeded, NativeError, RateLimited


def answer(chat, caller):
    try:
        reply = gateway.complete_sync(chat, caller)
    except RateLimited as error:
        return f"Please try again in {error.headers['retry-after']} seconds."
    except BudgetExceeded:
        return "You have used up what you may spend."
    except NativeError as error:
        return f"Sorry, that did not work: {error.message} ({error.code})"
    return reply.completion["choices"][0]["message"]["content"]
