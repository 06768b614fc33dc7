-- core.returns: total returns of every instrument over the horizons that all signals share.
-- grain: symbol, session
-- rows: every row of core.prices
-- sources: core.prices, core.sessions
-- lookback: 254 sessions; 12m reaches 252 back, ytd to the last session of the previous year
-- incremental: by session
-- null: where the base session is before the symbol's first, or has no price
-- formula: total_return_index now / at the base session - 1; 1w 1m 3m 6m 12m = 5, 21, 63, 126, 252 sessions back; ytd, qtd = from the
--   last session of the previous year, quarter
-- columns:
--   symbol: ticker
--   session: XNYS trading date
--   return_1d: fraction
--   return_1w: fraction over 5 sessions
--   return_1m: fraction over 21 sessions
--   return_3m: fraction over 63 sessions
--   return_6m: fraction over 126 sessions
--   return_12m: fraction over 252 sessions
--   return_ytd: fraction since the last session of the previous year
--   return_qtd: fraction since the last session of the previous quarter
with indexed as (
    select
        p.symbol, p.session, p.return_1d, p.total_return_index as tri,
        s.session_number, s.previous_year_end, s.previous_quarter_end
    from core.prices as p
    join core.sessions as s using (session)
),

-- Each session from the symbol's first to its last, whether it has a price or not: n rows back are n sessions back.
traded as (
    select symbol, unnest(range(min(session_number), max(session_number) + 1)) as session_number
    from indexed
    group by symbol
),

based as (
    select
        t.symbol,
        i.session,
        i.return_1d,
        i.tri,
        i.previous_year_end,
        i.previous_quarter_end,
        lag(i.tri, 5) over w as tri_1w,
        lag(i.tri, 21) over w as tri_1m,
        lag(i.tri, 63) over w as tri_3m,
        lag(i.tri, 126) over w as tri_6m,
        lag(i.tri, 252) over w as tri_12m
    from traded as t
    left join indexed as i on i.symbol = t.symbol and i.session_number = t.session_number
    window w as (partition by t.symbol order by t.session_number)
)

select
    b.symbol,
    b.session,
    b.return_1d,
    b.tri / b.tri_1w - 1 as return_1w,
    b.tri / b.tri_1m - 1 as return_1m,
    b.tri / b.tri_3m - 1 as return_3m,
    b.tri / b.tri_6m - 1 as return_6m,
    b.tri / b.tri_12m - 1 as return_12m,
    b.tri / y.total_return_index - 1 as return_ytd,
    b.tri / q.total_return_index - 1 as return_qtd
from based as b
left join core.prices as y on y.symbol = b.symbol and y.session = b.previous_year_end
left join core.prices as q on q.symbol = b.symbol and q.session = b.previous_quarter_end
where b.session is not null
order by b.symbol, b.session
