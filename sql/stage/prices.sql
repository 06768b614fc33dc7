-- stage.prices: the batch of this run: bars that are new, differ from their last known version, or are no longer delivered.
--   A known bar of another source than the one that answers is kept, whatever the difference, which stage.differences has: a change of source is
--   no restatement. Only a split (stage.rebased) makes the whole history that of the source that answers.
-- grain: symbol, session; a bar that the vendor delivered more than once is kept as often, for the audit
-- sources: stage.fetched_prices, stage.answers, stage.rebased, stage.reach, fn.prices_known_since, fn.value_differs
-- lookback: none
-- null: as in the vendor's data, a distribution or split too, and a volume that is not a count of shares below 2^63, which the audit sets
--   aside; all values of a withdrawn bar
with answered as (
    select symbol, source, is_full_history, start_session, end_session from stage.answers where dataset = 'prices' and error is null
),

fetched as (
    select
        f.symbol, session::date as session, open, high, low, close, try_cast(volume as bigint) as volume,
        dividend, capital_gain, split_ratio,
        vendor_adj_close,
        coalesce(a.source, getvariable('source')) as source,
        count(*) over (partition by f.symbol, session) as times_given
    from stage.fetched_prices as f
    left join answered as a on a.symbol = f.symbol
),

known as (
    from fn.prices_known_since('infinity'::timestamptz, (select first_session from stage.reach))
),

compared as (
    select
        f.*,
        k.session is null as is_new,
        k.session is not null and (k.source = f.source or b.symbol is not null) and (
            fn.value_differs(f.open, k.open) or fn.value_differs(f.high, k.high) or fn.value_differs(f.low, k.low)
            or fn.value_differs(f.close, k.close) or fn.value_differs(f.volume, k.volume) or fn.value_differs(f.dividend, k.dividend)
            or fn.value_differs(f.capital_gain, k.capital_gain) or fn.value_differs(f.split_ratio, k.split_ratio)
        ) as is_revised
    from fetched as f
    left join known as k on k.symbol = f.symbol and k.session = f.session
    left join stage.rebased as b on b.symbol = f.symbol
),

withdrawn as (
    select k.symbol, k.session, coalesce(a.source, getvariable('source')) as source
    from known as k
    join answered as a on a.symbol = k.symbol and k.session between a.start_session and a.end_session
    left join stage.rebased as b on b.symbol = k.symbol
    anti join fetched as f on f.symbol = k.symbol and f.session = k.session
    where a.is_full_history and (k.source = coalesce(a.source, getvariable('source')) or b.symbol is not null)
)

select *, false as is_withdrawn
from compared
where is_new or is_revised or times_given > 1
union all by name
select *, false as is_new, false as is_revised, true as is_withdrawn
from withdrawn
order by symbol, session
