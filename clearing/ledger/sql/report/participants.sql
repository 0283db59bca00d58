-- Grain: participant.
SELECT participant, kind, name_zh AS zh, name_en AS en FROM participants ORDER BY participant;
