-- What a DBA types once: the extension, the log, its roles, and the names of our events.
CREATE EXTENSION eventlog;

CREATE ROLE log_owner NOLOGIN;
CREATE ROLE flights_writer LOGIN;
CREATE ROLE flights_reader LOGIN;

SELECT eventlog.create_log(owner => 'log_owner');
SELECT eventlog.grant_writer('flights_writer');
SELECT eventlog.grant_reader('flights_reader');

SELECT eventlog.define_event('flight_departed',
    domain        => 'flights',
    description   => 'An aircraft left the gate.',
    required_keys => '{flight,origin,dest,depDelay}',
    optional_keys => '{arrDelay,airTime,distance}',
    subject_keys  => '{origin,dest}');

SELECT eventlog.define_event('flight_cancelled',
    domain        => 'flights',
    description   => 'A scheduled flight did not leave.',
    required_keys => '{flight,origin,dest}',
    optional_keys => '{distance}',
    subject_keys  => '{origin,dest}');
