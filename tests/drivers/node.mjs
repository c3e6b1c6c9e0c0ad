// Makes calls with a driver as it is published: node node.mjs postgres.js|node-postgres < CALLS
//
// A line of CALLS is {"sql", "values", "names"}: `values` are the JavaScript that an application
// writes for $1, $2 and so on, and `names` its variables. A line comes back for each: the first column
// of the first row, or the error, and what the server warned of. The server is that of PGHOST, PGPORT,
// PGDATABASE and PGUSER.

import { readFileSync } from 'node:fs';
import pg from 'pg';
import postgres from 'postgres';

const warnings = [];
const notice = ({ message, hint }) => warnings.push({ message, hint });
const firstColumn = ([row]) => Object.values(row)[0];
const evaluate = (code, names) => new Function(...Object.keys(names), `return ${code}`)(...Object.values(names));

const drivers = {
    'postgres.js': async () => {
        const sql = postgres({ max: 1, onnotice: notice });
        return {
            // Values are parts of a template here, so the template is what is put together.
            async ask({ sql: text, values, names }) {
                const template = text.replace(/\$(\d)/g, (_, number) => values[number - 1]);
                return firstColumn(await evaluate(`sql\`${template}\``, { sql, ...names }));
            },
            end: () => sql.end(),
        };
    },
    'node-postgres': async () => {
        const client = new pg.Client();
        client.on('notice', notice);
        await client.connect();
        return {
            async ask({ sql: text, values, names }) {
                const { rows } = await client.query(text, evaluate(`[${values}]`, names));
                return firstColumn(rows);
            },
            end: () => client.end(),
        };
    },
};

const driver = await drivers[process.argv[2]]();
for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    let outcome;
    try {
        outcome = { value: await driver.ask(JSON.parse(line)) };
    } catch (error) {
        // An error of the server has a severity, one of the driver's own has not.
        outcome = { error: error.message, sqlstate: error.severity ? error.code : null };
    }
    console.log(JSON.stringify({ ...outcome, warnings: warnings.splice(0) }));
}
await driver.end();
