"""A key for a user, for scripts that set up a site."""

from io import StringIO

from django.core.management import call_command


def new_key(username):
    output = StringIO()
    call_command("native_key", "create", username, "--name", "laptop", stdout=output)
    return output.getvalue().strip()
