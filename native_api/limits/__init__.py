"""Limits and budgets: who may use how much, enforced before it is used.

    reservation = CallReservation(chat, plan, record_id)
    await reservation.load_rules(caller)
    await reservation.reserve(route, prepared)     # before each target; RateLimited, BudgetExceeded
    reservation.settle(entries, route.name)        # when the call is over

rules               limits from settings and rows, and whom they apply to
windows             when a second, a day or a month begins and ends
estimates           what an attempt may use, and what a call used
counters            short windows and slots, in the cache
budgets             longer windows and money, in the database: reserving
budget_update       the SQL that reserves in one budget
settlement          budgets: settling, releasing and expiring reservations
reservations        what one call holds of all that
cache_reservation   its part in the cache
headers, errors     what a client gets
amounts             amounts as text
report              how a caller's limits stand
signals             what the site is notified of
"""
