-- The tables of the cloud's store. Keys and values are those of cloud/tables.h: a table here is a table there, without the
-- letter or number that names it. Byte strings throughout: no collation decides an order, and none can change it.
-- A table that ends in the mark for facilities is split by a hash of `fac`; engines that shard by primary key themselves
-- take this text as it stands.
CREATE SCHEMA IF NOT EXISTS egret;

-- Which files of this folder have been applied.
CREATE TABLE egret.schema_step (
  number     integer     PRIMARY KEY,
  name       text        NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);

-- One row of each facility that rises with every transaction about it: of two at once one must give way.
CREATE TABLE egret.turn (fac bytea NOT NULL, n bigint NOT NULL, PRIMARY KEY (fac)) /*by facility*/;

-- Who may speak, and where everybody stands: small rows that change often.
CREATE TABLE egret.meta (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
CREATE TABLE egret.registration (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.session (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.facility (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.ledger (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.gap (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.quarantine (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.incident (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.tombstone (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
CREATE TABLE egret.decision (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));

-- What the sites have said.
CREATE TABLE egret.block (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.leaf (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.natural_key (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;

-- Blocks that wait for their number in the feed; the feed; what is made from it.
CREATE TABLE egret.arrived (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
CREATE TABLE egret.feed (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
CREATE TABLE egret.derived (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
