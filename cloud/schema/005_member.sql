-- Reconcilers that divide the shards among themselves, where the broker does not (cloud/shards.h).
CREATE TABLE egret.member (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
