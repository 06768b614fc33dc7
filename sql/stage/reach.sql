-- stage.reach: how far back this run's prices reach.
-- grain: first_session; the table has one row
-- sources: stage.fetched_prices, stage.second_prices, stage.answers
-- lookback: none
-- null: where no source answered with prices
-- columns:
--   first_session: the oldest day of a bar that a source gave, or of a range that one answered for
select least(
    (select min(session)::date from stage.fetched_prices),
    (select min(session)::date from stage.second_prices),
    (select min(start_session) from stage.answers where dataset = 'prices' and error is null)
) as first_session
