-- migrate:up

-- What is known of a wallet beside its list: rows that could not be read, a list that is not confirmed, assets that are
-- missing from it and since when. It counts only as long as `number` in it is the wallet's `sync_number`: a gateway of the
-- version before moves that and does not know this column.
alter table account_wallets add column detail jsonb;

-- When an amount was read that the wallet's last list could not give.
alter table balances add column stale_as_of timestamptz;

-- migrate:down

alter table balances drop column stale_as_of;
alter table account_wallets drop column detail;
