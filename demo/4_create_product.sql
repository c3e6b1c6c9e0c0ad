-- A simulated SaaS application of three tenants: its own table, and the roles that it adds to the log.
CREATE ROLE product_app LOGIN;
CREATE ROLE product_analyst LOGIN;
CREATE ROLE gateway LOGIN;

CREATE TABLE accounts (id uuid PRIMARY KEY, name text NOT NULL, plan text NOT NULL);
INSERT INTO accounts VALUES
    ('11111111-1111-4111-8111-111111111111', 'Northwind', 'free'),
    ('22222222-2222-4222-8222-222222222222', 'Globex', 'free'),
    ('33333333-3333-4333-8333-333333333333', 'Initech', 'free');
GRANT SELECT, UPDATE ON accounts TO product_app;
-- Tenants have the names of this table. Deleting a row erases the tenant's events.
SELECT eventlog.reference_tenants('accounts', 'trigger', name_column => 'name');

SET ROLE log_owner;
SELECT eventlog.grant_service('product_app');
SELECT eventlog.grant_reader('product_analyst');
SELECT eventlog.grant_gateway('gateway');
-- Reports by skill are read from rollups, in milliseconds.
SELECT eventlog.define_event('skill_executed', count_keys => '{skillName}');
