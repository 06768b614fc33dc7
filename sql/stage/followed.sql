-- stage.followed: what is requested of whom, sooner or later. What is set aside of anything else would never be requested again.
-- grain: dataset, symbol
-- sources: stage.universe, stage.offers, stage.estimated_companies
-- lookback: none
-- null: none
-- columns:
--   dataset: prices, fund_nav, fund_facts, holdings or earnings_growth
--   symbol: ticker
select 'prices' as dataset, symbol from stage.universe
union all
select dataset, symbol from stage.offers
union all
select 'earnings_growth' as dataset, symbol from stage.estimated_companies
order by dataset, symbol
