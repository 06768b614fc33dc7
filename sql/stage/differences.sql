-- stage.differences: every value of the kept bars that another source states too, and whether the two agree: the overlap where another source
--   answered than before, and the bars requested from a second source.
-- grain: dataset, symbol, session, column_name, other_source
-- sources: stage.prices, stage.fetched_prices, stage.second_prices, stage.answers, stage.reach, fn.prices_known_since,
--   fn.fund_nav_known_at, stage.fund_nav, fn.sources_disagree
-- lookback: all; the sessions that another source answered for
-- null: witness, witness_value and verdict where the two agree; witness and witness_value where no third source states the value
-- formula: a close is witnessed by the fund's NAV of the session: right is the one within 0.5 % of it, where the other is not. A distribution is
--   witnessed by the issuer's, where the issuer states distributions at all. A split has no witness
-- columns:
--   dataset: prices
--   symbol: ticker
--   session: XNYS trading date
--   column_name: close, distribution (dividend and capital gain, USD per share) or split_ratio
--   source: source of the kept bar
--   value: its value
--   other_source: the other source
--   other_value: its value, 0 = no distribution, 1 = no split
--   differs: they disagree beyond rounding (fn.sources_disagree)
--   witness: name of the third source
--   witness_value: its value
--   verdict: source_wrong, other_source_wrong, or undecided where no third source decides
with fetched as (
    select
        f.symbol, f.session::date as session, f.close, coalesce(f.dividend, 0) + coalesce(f.capital_gain, 0) as distribution,
        coalesce(f.split_ratio, 1) as split_ratio, a.source
    from stage.fetched_prices as f
    join stage.answers as a on a.symbol = f.symbol and a.dataset = 'prices' and a.error is null
),

others as (
    -- A change of source from one run to the next, also where only one is configured.
    select * replace (coalesce(source, getvariable('source')) as source) from fetched
    union all
    select symbol, session::date, close, coalesce(dividend, 0) + coalesce(capital_gain, 0), coalesce(split_ratio, 1), source
    from stage.second_prices
),

kept as (
    select symbol, session, close, dividend + capital_gain as distribution, split_ratio, source from stage.prices where not is_withdrawn
    union all
    select k.symbol, k.session, k.close, k.dividend + k.capital_gain, k.split_ratio, k.source
    from fn.prices_known_since('infinity'::timestamptz, (select first_session from stage.reach)) as k
    semi join others as o on o.symbol = k.symbol and o.session = k.session
    anti join stage.prices as b on b.symbol = k.symbol and b.session = k.session
),

pairs as (
    select k.*, o.source as other_source, o.close as other_close, o.distribution as other_distribution, o.split_ratio as other_split_ratio
    from kept as k
    join others as o on o.symbol = k.symbol and o.session = k.session and o.source <> k.source
    qualify row_number() over (partition by k.symbol, k.session, o.source order by k.close nulls last, o.close nulls last) = 1
),

compared as (
    select symbol, session, source, other_source, 'close' as column_name, close as value, other_close as other_value from pairs
    union all
    select symbol, session, source, other_source, 'distribution', distribution, other_distribution from pairs
    union all
    select symbol, session, source, other_source, 'split_ratio', split_ratio, other_split_ratio from pairs
),

records as (
    select symbol, session, nav, distribution, source from stage.fund_nav
    union all
    select k.symbol, k.session, k.nav, k.distribution, k.source
    from fn.fund_nav_known_at('infinity'::timestamptz) as k
    semi join pairs as p on p.symbol = k.symbol
    anti join stage.fund_nav as b on b.symbol = k.symbol and b.session = k.session
),

stating as (
    select symbol from records where distribution > 0 group by symbol
),

judged as (
    select
        c.*,
        fn.sources_disagree(c.column_name, c.value, c.other_value) as differs,
        case c.column_name
            when 'close' then n.nav
            when 'distribution' then case when d.symbol is not null then coalesce(n.distribution, 0) end
        end as found,
        n.source as record_source
    from compared as c
    left join records as n on n.symbol = c.symbol and n.session = c.session
    left join stating as d on d.symbol = c.symbol
),

decided as (
    select
        *,
        case when differs then found end as witness_value,
        case column_name
            when 'close' then abs(value / found - 1) <= 0.005
            else not fn.sources_disagree(column_name, value, found)
        end as is_near,
        case column_name
            when 'close' then abs(other_value / found - 1) <= 0.005
            else not fn.sources_disagree(column_name, other_value, found)
        end as is_other_near
    from judged
)

select
    'prices' as dataset,
    symbol,
    session,
    column_name,
    source,
    value,
    other_source,
    other_value,
    differs,
    case when witness_value is not null then record_source || if(column_name = 'close', ' NAV', ' distribution') end as witness,
    witness_value,
    case
        when not differs then null
        when witness_value is null or is_near = is_other_near then 'undecided'
        when is_near then 'other_source_wrong'
        else 'source_wrong'
    end as verdict
from decided
order by symbol, session, column_name, other_source
