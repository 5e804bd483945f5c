"""What a user has spent since a moment, in USD."""

from decimal import Decimal

from django.db.models import Sum

from native_api.models import UsageRecord


def spent(user, since):
    records = UsageRecord.objects.filter(user=user, created_at__gte=since)
    return records.aggregate(total=Sum("cost"))["total"] or Decimal()
