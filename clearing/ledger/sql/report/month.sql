-- Opening, debit, credit and closing of the accounts in the month of the business date, up to it. Grain: account kind,
-- source of money.
SELECT p.kind, p.source,
    COALESCE(SUM(fen) FILTER (WHERE p."window" < date_trunc('month', $date::DATE)), 0)::BIGINT AS opening,
    COALESCE(SUM(-fen) FILTER (WHERE p."window" >= date_trunc('month', $date::DATE) AND fen < 0), 0)::BIGINT AS debit,
    COALESCE(SUM(fen) FILTER (WHERE p."window" >= date_trunc('month', $date::DATE) AND fen > 0), 0)::BIGINT AS credit,
    SUM(fen)::BIGINT AS closing
FROM postings p WHERE p."window" <= $date GROUP BY ALL ORDER BY p.kind, p.source;
