-- Whose data may be kept and not be used (cloud/restrictions.h).
CREATE TABLE egret.restriction (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
