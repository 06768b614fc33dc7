-- core.close_basis: whether the closes of the funds are plain prices.

-- expectation: closes_are_plain_prices
-- severity: info
-- column: basis
-- sentence: The closes of the fund are adjusted for distributions, far from its NAV, or come without the distributions that its issuer states;
--   its premium over NAV is NULL.
with last_rows as (
    from core.close_basis
    qualify row_number() over (partition by symbol order by session desc) = 1
)
select symbol, session, basis, premium_21d_pct, premium_change_12m_pct, distributions_12m_pct
from last_rows
where basis in ('adjusted', 'differs from NAV', 'distributions missing');

-- expectation: funds_pay_distributions
-- severity: info
-- sentence: In 18 months no distribution of the fund is known, and no NAV to compare its closes with: either it pays none, the source leaves them out, or
--   its closes are adjusted for them.
with last_rows as (
    from core.close_basis
    qualify row_number() over (partition by symbol order by session desc) = 1
)
select symbol, session, basis, source
from last_rows
where basis = 'no distributions';
