-- stage.rebased: symbols for which the answering source states a split that the known bars of another source do not take in. Their known
--   bars are on an old basis, so the whole history is taken from the source that answered.
-- grain: symbol
-- sources: stage.fetched_prices, stage.answers, stage.reach, fn.prices_known_since
-- lookback: none
-- null: none
-- formula: split_factor = product of the split ratios stated now / those known, after the oldest bar that both have; rebased where close ratio x
--   split_factor is 1 within 1 %, and the close ratio is not
-- columns:
--   symbol: ticker
--   ratio: new close / known close on the oldest bar that both have
--   split_factor: new shares per old that the known bars do not take in
with fetched as (
    select f.symbol, f.session::date as session, f.close, coalesce(f.split_ratio, 1) as split_ratio, coalesce(a.source, getvariable('source')) as source
    from stage.fetched_prices as f
    join stage.answers as a on a.symbol = f.symbol and a.dataset = 'prices' and a.error is null
),

compared as (
    select f.symbol, f.session, f.close / k.close as ratio, f.split_ratio / coalesce(k.split_ratio, 1) as split_step, k.source <> f.source as is_other
    from fetched as f
    left join fn.prices_known_since('infinity'::timestamptz, (select first_session from stage.reach)) as k
        on k.symbol = f.symbol and k.session = f.session
),

oldest as (
    select symbol, min(session) as session, arg_min(ratio, session) as ratio, arg_min(is_other, session) as is_other
    from compared
    where ratio > 0
    group by symbol
)

select o.symbol, o.ratio, product(c.split_step) as split_factor
from oldest as o
join compared as c on c.symbol = o.symbol and c.session > o.session and c.split_step > 0
where o.is_other and abs(o.ratio - 1) > 0.01
group by o.symbol, o.ratio
having abs(o.ratio * split_factor - 1) <= 0.01
order by o.symbol
