-- Loads: what an agent's rows say was loaded is what the cards prove, and what the agent owes for it. Held loads are a
-- claim on the agent, not a difference. Grain: agent, window.
WITH rows AS (
    SELECT merchant_id::BIGINT AS agent, "window", SUM(sign * amount) FILTER (WHERE disposition IN (1, 2))::BIGINT AS agent_fen,
        COALESCE(SUM(sign * amount) FILTER (WHERE disposition = 2), 0)::BIGINT AS held_fen,
        COALESCE(SUM(sign * amount) FILTER (WHERE disposition = 1 AND fund <> 0), 0)::BIGINT AS benefit_fen,
        COALESCE(SUM(sign * (balance_after - balance_before)) FILTER (WHERE disposition = 1), 0)::BIGINT AS card_fen,
        COALESCE(SUM(sign * amount) FILTER (WHERE disposition = 1 AND balance_after - balance_before IS NULL), 0)::BIGINT
            AS unseen_fen
    FROM load WHERE test_flag = 0 GROUP BY ALL),
owed AS (
    SELECT p.participant AS agent, p."window", -SUM(p.fen)::BIGINT AS owed_fen
    FROM postings p JOIN journal j ON j.sequence = p.entry
    WHERE p.kind = 'agent_receivable' AND j.kind = 'batch' AND p.entry > $after GROUP BY ALL)
SELECT agent, "window", COALESCE(agent_fen, 0) AS agent_fen, COALESCE(held_fen, 0) AS held_fen,
    COALESCE(card_fen, 0) + COALESCE(unseen_fen, 0) AS card_fen, COALESCE(benefit_fen, 0) AS benefit_fen,
    COALESCE(owed_fen, 0) AS owed_fen
FROM rows FULL JOIN owed USING (agent, "window")
WHERE COALESCE(agent_fen, 0) - COALESCE(held_fen, 0) <> COALESCE(card_fen, 0) + COALESCE(unseen_fen, 0)
    OR COALESCE(agent_fen, 0) - COALESCE(held_fen, 0) - COALESCE(benefit_fen, 0) <> COALESCE(owed_fen, 0);
