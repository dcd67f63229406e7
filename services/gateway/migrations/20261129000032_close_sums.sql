-- migrate:up

-- The sum of a close, and what is to be said about it, so that a daily history reads no contents. A close that a gateway of the version before wrote has none,
-- and is summed when it is read.
alter table closes add column sum json;

-- migrate:down

alter table closes drop column sum;
