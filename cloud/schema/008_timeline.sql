-- How each site stood in each minute of the last day (cloud/timeline.h).
CREATE TABLE egret.timeline (k bytea NOT NULL, v bytea NOT NULL, PRIMARY KEY (k));
