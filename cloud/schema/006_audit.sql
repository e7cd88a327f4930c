-- Who read or wrote what: a log of which each row holds the hash of the one before, and its signed roots (cloud/audit.h).
CREATE TABLE egret.audit (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
