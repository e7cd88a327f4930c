-- Critical findings: alerts, what became of them, and how far each output is (cloud/alerts.h).
CREATE TABLE egret.alert (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
