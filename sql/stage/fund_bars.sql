-- stage.fund_bars: the bars of the funds with records in this batch, including the bars of this batch that were not set aside. The audit
--   compares the fund records with them.
-- grain: symbol, session; a bar that the vendor delivered more than once is kept as often, for the audit
-- sources: stage.fund_nav, stage.prices, raw.prices
-- lookback: all; bars from 60 days before the oldest record of the batch
-- null: as in the vendor's data
-- columns:
--   symbol: ticker
--   session: as the vendor dates the bar
--   close: USD per share, adjusted for splits, not for dividends
--   volume: shares, adjusted for splits
--   split_ratio: new shares per old share on the session it takes effect, 1 = none
with known as (
    from raw.prices
    semi join stage.fund_nav as f using (symbol)
    where session >= (select min(session) from stage.fund_nav) - 60
    qualify row_number() over (partition by symbol, session order by known_at desc) = 1
),

bars as (
    select symbol, session, close, volume, split_ratio
    from stage.prices
    where not is_withdrawn
    union all
    select k.symbol, k.session, k.close, k.volume, k.split_ratio
    from known as k
    anti join stage.prices as b on b.symbol = k.symbol and b.session = k.session
    where not k.is_withdrawn
)

from bars
semi join stage.fund_nav as f using (symbol)
where session >= (select min(session) from stage.fund_nav) - 60
