-- stage.restated: symbols whose oldest bar in the overlap has another close, distribution or split than the one known. It may then reach
--   further back than the overlap, and no bar before it is given with which the audit could compare it, so the whole history is requested
--   again. Where another source answers than the one of the known bar, only a split counts (stage.rebased): sources differ in rounding.
-- grain: symbol
-- sources: stage.fetched_prices, stage.answers, stage.rebased, stage.reach, fn.prices_known_since, fn.value_differs
-- lookback: none
-- null: source where only one source answers
-- columns:
--   symbol: ticker
--   ratio: new close / known close on the oldest bar
--   is_constant: the same ratio on every bar of the overlap, as after a split
--   source: source that answered, of several
with compared as (
    select
        f.symbol, f.session, f.close / k.close as ratio, k.source as known_source,
        fn.value_differs(f.close, k.close) or fn.value_differs(f.dividend, k.dividend)
            or fn.value_differs(f.capital_gain, k.capital_gain) or fn.value_differs(f.split_ratio, k.split_ratio) as is_restated
    from stage.fetched_prices as f
    join fn.prices_known_since('infinity'::timestamptz, (select first_session from stage.reach)) as k
        on k.symbol = f.symbol and k.session = f.session
    where f.close is not null
),

oldest as (
    select
        symbol,
        arg_min(ratio, session) as ratio,
        arg_min(is_restated, session) as is_restated,
        arg_min(known_source, session) as known_source,
        max(ratio) - min(ratio) <= 1e-6 * max(ratio) as is_constant
    from compared
    group by symbol
)

select o.symbol, o.ratio, o.is_constant, a.source
from oldest as o
join stage.answers as a on a.symbol = o.symbol and a.dataset = 'prices' and not a.is_full_history
left join stage.rebased as b on b.symbol = o.symbol
where o.is_restated and (o.known_source = coalesce(a.source, getvariable('source')) or b.symbol is not null)
order by o.symbol
