-- core.fund_nav: the fund records, after the new ones were added.

-- expectation: share_count_possible
-- severity: warning
-- sentence: The published share count differs by a factor of 1.7 or more from the eleven records before it; its flows
--   are NULL.
select n.symbol, n.session, n.nav, n.published_shares_outstanding
from core.fund_nav as n
where n.is_suspect;
