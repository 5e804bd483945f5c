"""Random price tables, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from native_api.pricing import tables

amounts = st.decimals(0, 10**6, places=6) | st.integers(0, 10**6) | st.decimals(0, 1, places=18)
price_members = st.dictionaries(st.sampled_from(sorted(tables.AMOUNTS)), amounts)
price_tables = st.builds(
    lambda base, others, steps: tables.parse(
        {**others, **base, **({"ABOVE": steps} if steps else {})}
    ),
    st.fixed_dictionaries({"INPUT": amounts, "OUTPUT": amounts}),
    price_members,
    st.dictionaries(st.integers(0, 10**6), price_members, max_size=3),
)
