-- Legal holds, how far retention has come, and what is kept of telemetry that has expired (cloud/holds.h, retention.h, rollup.h).
CREATE TABLE egret.hold (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
CREATE TABLE egret.retention (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
CREATE TABLE egret.kept (fac bytea NOT NULL, k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (fac, k)) /*by facility*/;
