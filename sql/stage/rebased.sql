-- stage.rebased: symbols for which the answering source states a split that known bars of another source do not take in. Those bars are on an
--   old basis, so the whole history is taken from the source that answered.
-- grain: symbol
-- sources: stage.fetched_prices, stage.answers, stage.reach, fn.prices_known_since
-- lookback: none
-- null: none
-- formula: of each bar known from another source: close ratio = new close / known close, split_factor = product of the split ratios stated now /
--   those known, of all later sessions. On an old basis where close ratio x split_factor is 1 within 1 %, and the close ratio is not. Rebased
--   where that holds for most of the bars whose close ratio is not 1 within 1 %
-- columns:
--   symbol: ticker
--   bars: known bars on an old basis
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

stepped as (
    select
        *,
        product(case when split_step > 0 then split_step end) over (
            partition by symbol order by session rows between 1 following and unbounded following
        ) as split_factor
    from compared
    semi join (from compared where is_other) as o using (symbol)
),

apart as (
    select symbol, abs(ratio * split_factor - 1) <= 0.01 as is_on_old_basis
    from stepped
    where is_other and ratio > 0 and abs(ratio - 1) > 0.01
)

select symbol, count(*) filter (is_on_old_basis) as bars
from apart
group by symbol
having 2 * bars > count(*)
order by symbol
