CREATE FUNCTION eventlog._require_layout() RETURNS void LANGUAGE sql AS 'SELECT';
