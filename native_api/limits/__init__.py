"""Limits and budgets: who may use how much, enforced before it is used.

    hold = Hold(chat, plan, record_id)
    await hold.bind(caller)
    await hold.cover(route, prepared)                      # before each target's attempts; raises RateLimited, BudgetExceeded
    hold.settle(entries, route.name)                       # when the call is over

rules       what settings and rows say, and whom it binds
windows     when a second, a day or a month begins and ends
estimates   what an attempt may use, and what a call used
counters    short windows and slots, in the cache
leases      slots that outlive no process
budgets     long windows and money, in the database
taking      room in one budget, in the database's own words
holds       what one call holds of all that
answers     what a client is told
statements  how a caller's limits stand
notices     what the site is told
"""
