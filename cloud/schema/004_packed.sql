-- Blocks are packed and hashes cannot be: PostgreSQL need not try to.
/*PostgreSQL*/ ALTER TABLE egret.block ALTER COLUMN v SET STORAGE EXTERNAL;
/*PostgreSQL*/ ALTER TABLE egret.leaf ALTER COLUMN v SET STORAGE EXTERNAL;
