"""The admin of API keys. A new key is shown once, in the response to the request that created it:
it is not in a session, a message or the history.

Whoever holds a key acts as its owner. So staff may create, change and rotate the keys of another
user only if they may do everything that the user may do (`may_act_for`). Staff with the permission
may revoke any key. `manage.py native_key` does not check this: operators may do everything.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from native_api.access import grants, keys
from native_api.admin.fields import LinesField
from native_api.models import ApiKey
from native_api.types import Secret


def may_act_for(operator: Any, owner: Any) -> bool:
    """Whether a key of `owner` would give `operator` no further permission and no further model."""
    if operator.pk == owner.pk or getattr(operator, "is_superuser", False):
        return True
    if (
        not owner.is_active
        or getattr(owner, "is_superuser", False)
        or not _permissions(owner) <= _permissions(operator)
    ):
        return False
    operator_models, owner_models = (
        grants.read_grants(user.pk).granted_models for user in (operator, owner)
    )
    if operator_models is None:
        return True
    if owner_models is None:
        return False
    return "*" in operator_models or set(owner_models) <= set(operator_models)


def _permissions(user: Any) -> set[str]:
    """The user's permissions. A site's own user model may have none."""
    return set(user.get_all_permissions()) if hasattr(user, "get_all_permissions") else set()


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    operator: Any = None
    """The member of staff who fills in the form."""

    allowed_models = LinesField(
        label=_("allowed models"),
        required=False,
        help_text=_('Patterns, one per line, such as "gpt-4o*". Empty allows every model.'),
    )

    class Meta:
        model = ApiKey
        fields = ("owner", "name", "allowed_models", "throttle_rate", "expires_at")

    def clean_owner(self) -> Any:
        owner = self.cleaned_data["owner"]
        if not may_act_for(self.operator, owner):
            raise forms.ValidationError(
                _(
                    "You cannot create a key for this user, who has more permissions or models "
                    "than you: a key acts as its owner."
                )
            )
        return owner

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if (
            expires_at is not None
            and "expires_at" in self.changed_data
            and expires_at <= timezone.now()
        ):
            raise forms.ValidationError(_("This is in the past. To disable a key, revoke it."))
        return expires_at


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("active", _("Active")), ("expired", _("Expired")), ("revoked", _("Revoked"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        revoked, expired = Q(revoked_at__isnull=False), Q(expires_at__lte=timezone.now())
        states = {
            "active": ~revoked & (Q(expires_at=None) | ~expired),
            "expired": ~revoked & expired,
            "revoked": revoked,
        }
        wanted = self.value() or ""
        return queryset.filter(states[wanted]) if wanted in states else queryset


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = ApiKeyForm
    list_display = ("prefix", "name", "owner", "state", "created_at", "last_used_at", "expires_at")
    list_filter = (StateFilter,)
    list_select_related = ("owner",)
    show_full_result_count = False
    actions = ("revoke", "rotate")
    raw_id_fields = ("owner",)

    @admin.display(description=_("state"))
    def state(self, key: ApiKey) -> str:
        return key.state

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return ("name", "prefix", f"owner__{get_user_model().USERNAME_FIELD}")

    def get_autocomplete_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Autocomplete needs an admin that can search users; other sites get `raw_id_fields`."""
        users = get_user_model()
        can_search = self.admin_site.is_registered(users) and self.admin_site.get_model_admin(
            users
        ).get_search_fields(request)
        return ("owner",) if can_search else ()

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        editable = ("owner", "name", "allowed_models", "throttle_rate", "expires_at")
        if obj is None:
            return editable
        return ("prefix", *editable, "state", "created_at", "last_used_at", "revoked_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The owner cannot change: whoever holds the key would act as the new owner."""
        if obj is None:
            return ()
        return ("prefix", "owner", "state", "created_at", "last_used_at", "revoked_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not super().has_change_permission(request, obj):
            return False
        return obj is None or (obj.revoked_at is None and may_act_for(request.user, obj.owner))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **options)
        return type(form.__name__, (form,), {"operator": request.user})

    # --- making one ------------------------------------------------------------------------------

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show only the save button, so that each key is copied before the next is created."""
        buttons = {"show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, {**(extra_context or {}), **buttons})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            request.new_api_key = keys.generate_into(obj)  # type: ignore[attr-defined]
            obj.save(force_insert=True)
        elif form.changed_data:
            # Other fields may have changed since the form was loaded: the key may be revoked.
            obj.save(update_fields=form.changed_data)

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_new_keys(request, [(obj, request.new_api_key)])  # type: ignore[attr-defined]

    def _show_new_keys(
        self,
        request: HttpRequest,
        shown: list[tuple[ApiKey, Secret]],
        skipped: list[ApiKey] | None = None,
    ) -> HttpResponse:
        title = ngettext("The new API key", "The new API keys", len(shown))
        return self._render(
            request, "shown_once", {"title": title, "shown": shown, "skipped": skipped}
        )

    def _render(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        whole = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, f"admin/native_api/apikey/{template}.html", whole)

    # --- ending and replacing them ---------------------------------------------------------------

    @admin.action(description=_("Revoke selected API keys"), permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse | None:
        if not request.POST.get("confirmed"):
            return self._confirm(
                request,
                queryset,
                "revoke",
                _("Revoke these keys? They stop working within 5 seconds and cannot be restored."),
            )
        with transaction.atomic():
            revoked = [key for key in queryset if keys.revoke(key)]
            for key in revoked:
                self.log_change(request, key, [{"changed": {"fields": ["revoked at"]}}])
        self.message_user(
            request,
            ngettext("%d key was revoked.", "%d keys were revoked.", len(revoked)) % len(revoked),
            messages.SUCCESS,
        )
        return None

    @admin.action(description=_("Rotate selected API keys"), permissions=["change"])
    def rotate(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> HttpResponse:
        """Replace the prefix and text of every key, or of none if anything fails."""
        if not request.POST.get("confirmed"):
            question = _(
                "Replace these keys? Each new key is shown once. "
                "The present keys stop working within 5 seconds."
            )
            return self._confirm(request, queryset, "rotate", question)
        shown, skipped = [], []
        with transaction.atomic():
            for key in queryset.select_related("owner"):
                if not may_act_for(request.user, key.owner):
                    skipped.append(key)
                    continue
                try:
                    shown.append((key, keys.rotate(key)))
                except keys.KeyEnded:
                    skipped.append(key)
                else:
                    self.log_change(request, key, [{"changed": {"fields": ["prefix"]}}])
        return self._show_new_keys(request, shown, skipped)

    def _confirm(
        self, request: HttpRequest, queryset: QuerySet[ApiKey], action: str, question: Any
    ) -> HttpResponse:
        return self._render(
            request,
            "confirm",
            {
                "title": _("Are you sure?"),
                "question": question,
                "keys": queryset.select_related("owner"),
                "action": action,
                "checkbox": ACTION_CHECKBOX_NAME,
            },
        )
