-- core.sessions: the trading sessions of the New York Stock Exchange, from the start of the history to the session of the last run.
-- grain: session
-- sources: fn.sessions_known_at
-- lookback: all; session_number counts from the first session
-- null: previous_session on the first; previous_year_end and previous_quarter_end in the first year and quarter
-- columns:
--   session: trading date in New York
--   session_number: 1, 2, 3 … without gaps; n sessions back is session_number - n
--   previous_session: the session before
--   previous_year_end: last session of the previous calendar year, the base of year-to-date returns
--   previous_quarter_end: last session of the previous calendar quarter, the base of quarter-to-date returns
--   opens_at: open of the session
--   closes_at: close of the session
--   is_half_day: the exchange closes early, before 16:00 New York
with open_days as (
    from fn.sessions_known_at('infinity'::timestamptz) where is_session
),

quarter_ends as (
    select date_trunc('quarter', session) as quarter, max(session) as quarter_end
    from open_days
    group by quarter
)

select
    d.session,
    row_number() over (order by d.session) as session_number,
    lag(d.session) over (order by d.session) as previous_session,
    y.quarter_end as previous_year_end,
    q.quarter_end as previous_quarter_end,
    d.opens_at,
    d.closes_at,
    (d.closes_at at time zone 'America/New_York')::time < time '16:00' as is_half_day
from open_days as d
left join quarter_ends as q on q.quarter = date_trunc('quarter', d.session) - interval 3 months
left join quarter_ends as y on y.quarter = date_trunc('year', d.session) - interval 3 months
order by d.session
