-- core.instruments: the instruments followed, as the universe file says now.
-- grain: symbol
-- sources: raw.universe
-- null: not applicable, or not known
-- columns:
--   symbol: ticker
--   name: name of the fund or company
--   kind: fund, sector (a sector fund) or stock
--   size_bucket: mega, large, mid, small or micro
--   sector: sector the instrument stands for
--   peer_group: instruments that are compared or added up with each other
--   issuer: who publishes the fund's files
--   issuer_id: the issuer's identifier of the fund
--   index_name: index the fund follows
--   benchmark: symbol its excess returns are measured against
--   inception: first session with a price
--   known_at: since when the universe has been so
select * exclude (run_id)
from raw.universe
where known_at = (select max(known_at) from raw.universe)
order by symbol
