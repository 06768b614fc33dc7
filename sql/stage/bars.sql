-- stage.bars: the bars of funds and stocks including this batch: its new and changed bars, and the last known version of all others. The audit of
--   the batch compares its bars with them.
-- grain: symbol, session; a bar that the vendor delivered more than once is kept as often, for the audit
-- sources: stage.prices, stage.universe, raw.prices
-- lookback: all; known bars of the 400 days before the oldest bar of the batch, or of the 1,500 days before its newest, whichever reaches
--   further
-- null: as in the vendor's data
-- columns:
--   symbol: ticker
--   session: as the vendor dates the bar
--   open: USD per share, adjusted for splits
--   close: USD per share, adjusted for splits, not for dividends
--   volume: shares, adjusted for splits
--   dividend: USD per share on the ex-date, 0 = none
--   paid: USD per share, dividend and capital gain on the ex-date, 0 = none
--   split_ratio: new shares per old share on the session it takes effect, 1 = none
--   is_given: in the batch, as new or changed; false = already known
--   is_revised: the batch changes a known bar
with indexes as (
    -- Rates can stand still or be 0, and volatility can double in a day: such levels have checks of their own.
    select symbol from stage.universe where kind = 'index'
),

given as (
    select symbol, session, open, close, volume, dividend, dividend + capital_gain as paid, split_ratio, true as is_given, is_revised
    from stage.prices
    anti join indexes using (symbol)
    where not is_withdrawn
),

reach as (
    select least(min(session) - 400, max(session) filter (not is_withdrawn) - 1500) as first_session
    from stage.prices
),

versions as (
    -- Not fn.prices_known_at, which looks at every version before it drops the old sessions: twice as slow.
    from raw.prices
    anti join indexes using (symbol)
    where session >= (select first_session from reach)
    qualify row_number() over (partition by symbol, session order by known_at desc) = 1
),

known as (
    select
        v.symbol, v.session, v.open, v.close, v.volume, v.dividend, v.dividend + v.capital_gain as paid, v.split_ratio,
        false as is_given,
        false as is_revised
    from versions as v
    anti join stage.prices as b on b.symbol = v.symbol and b.session = v.session
    where not v.is_withdrawn
)

from given
union all
from known
