-- stage.restated: symbols whose oldest bar in the overlap has another close than the one known. A split or restatement may then
--   reach further back than the overlap, so the whole history is requested again.
-- grain: symbol
-- sources: stage.fetched_prices, stage.answers, fn.prices_known_at, fn.value_differs
-- lookback: none
-- null: none
-- columns:
--   symbol: ticker
--   ratio: new close / known close on the oldest bar
--   is_constant: the same ratio on every bar of the overlap, as after a split
with compared as (
    select f.symbol, f.session, f.close as new_close, k.close as known_close, f.close / k.close as ratio
    from stage.fetched_prices as f
    join fn.prices_known_at('infinity'::timestamptz) as k on k.symbol = f.symbol and k.session = f.session
    where f.close is not null
),

oldest as (
    select
        symbol,
        arg_min(ratio, session) as ratio,
        fn.value_differs(arg_min(new_close, session), arg_min(known_close, session)) as is_restated,
        max(ratio) - min(ratio) <= 1e-6 * max(ratio) as is_constant
    from compared
    group by symbol
)

select symbol, ratio, is_constant
from oldest
semi join (from stage.answers where dataset = 'prices' and not is_full_history) using (symbol)
where is_restated
order by symbol
