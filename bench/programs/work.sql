-- Inserts, an index, joins, grouping, ordering and string functions in a database in memory.
CREATE TABLE customer(id INTEGER PRIMARY KEY, name TEXT, city INTEGER);
CREATE TABLE entry(id INTEGER PRIMARY KEY, customer INTEGER, amount INTEGER, note TEXT);
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO customer SELECT i, 'customer ' || i, i * 7919 % 200 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250000)
INSERT INTO entry SELECT i, i * 104729 % 20000 + 1, i * 31 % 1000, 'note ' || (i * 17 % 4096) FROM n;
COMMIT;
CREATE INDEX by_customer ON entry(customer);
SELECT city, count(*), sum(amount) FROM customer JOIN entry ON customer = customer.id GROUP BY city ORDER BY 3 DESC LIMIT 5;
SELECT note, count(*) FROM entry WHERE note LIKE '%9' GROUP BY note ORDER BY 2 DESC, 1 LIMIT 5;
SELECT count(*) FROM entry WHERE substr(note, 6) * 2 > amount;
UPDATE entry SET amount = amount + 1 WHERE customer % 3 = 0;
SELECT sum(amount), max(length(upper(note))) FROM entry;
