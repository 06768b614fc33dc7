-- core.unknown_distributions: the sessions whose distribution is not known, or is not possible. From the first of a symbol on, its total
--   return is not known.
-- grain: symbol, session
-- sources: core.prices
-- lookback: 1 row; the close before
-- incremental: by session
-- null: dividend that is not known
-- columns:
--   symbol: ticker
--   session: XNYS trading date of the bar that the distribution belongs to
--   dividend: USD per share as given; NULL = not known, else not below the close before
--   previous_close: USD per share, the last known close before
with stepped as (
    select symbol, session, dividend, lag(close) over (partition by symbol order by session) as previous_close
    from core.prices
)

from stepped
where previous_close is not null and not coalesce(abs(dividend) < previous_close, false)
order by symbol, session
