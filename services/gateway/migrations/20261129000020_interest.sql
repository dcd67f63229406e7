-- migrate:up

-- The interest that accrued on a debt, beside `borrowed` and not part of it; null if the exchange reported none.
alter table balances add column interest numeric;

-- migrate:down

alter table balances drop column interest;
