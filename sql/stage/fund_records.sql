-- stage.fund_records: the records of the batch's funds including this batch: its new and changed records, and the last known version of all
--   others. The audit of the batch compares its records with them.
-- grain: symbol, session; a record that the source delivered more than once is kept as often, for the audit
-- sources: stage.fund_nav, raw.fund_nav
-- lookback: all; known records from 60 days before the oldest record of the batch
-- null: as published
-- columns:
--   symbol: ticker
--   session: as the source dates the record
--   nav: USD per share
--   shares_outstanding: shares
--   total_net_assets_usd: USD
--   distribution: USD per share on the ex-date
--   is_given: in the batch, as new or changed; false = already known
with known as (
    from raw.fund_nav
    semi join stage.fund_nav as b using (symbol)
    where session >= (select min(session) from stage.fund_nav) - 60
    qualify row_number() over (partition by symbol, session order by known_at desc) = 1
)

select symbol, session, nav, shares_outstanding, total_net_assets_usd, distribution, true as is_given
from stage.fund_nav
union all
select k.symbol, k.session, k.nav, k.shares_outstanding, k.total_net_assets_usd, k.distribution, false as is_given
from known as k
anti join stage.fund_nav as b on b.symbol = k.symbol and b.session = k.session
